// How a publisher's frames reach the server: with a voice over WebRTC, else over a WebSocket.

import { openMeshPublisher } from "../connection/mesh_publisher.js";
import { Trouble } from "../connection/trouble.js";
import { WhipSession } from "../connection/whip_session.js";

/**
 * @typedef {import("../connection/mesh_publisher.js").MeshPublisher} MeshPublisher
 *
 * @typedef {object} PathEvents
 * @property {(trouble: Trouble) => void} onEnd the connection has ended by itself
 * @property {(detail: string) => void} onRefused the server refused a frame
 * @property {(trouble: Trouble | null) => void} onVoice whether the voice is sent: null, or why not
 *
 * @typedef {object} Paths opens a connection of each kind
 * @property {(events: import("../connection/mesh_publisher.js").PublisherEvents)
 *   => Promise<WhipSession>} voice
 * @property {(events: import("../connection/mesh_publisher.js").PublisherEvents)
 *   => Promise<MeshPublisher>} mesh
 */

// Without these the face cannot be sent either: no other path is tried.
const FATAL = ["sign-in", "unreachable", "unknown-stream", "ending"];

/**
 * Return how the paths to a stream are opened.
 *
 * @param {URL} base the server's address
 * @param {string} stream
 * @param {() => MediaStreamTrack | null} voice the present microphone's track
 * @returns {Paths}
 */
export function pathsTo(base, stream, voice) {
  const endpoint = new URL(`v1/streams/${encodeURIComponent(stream)}/whip`, base);
  return {
    voice: async (events) => {
      const session = new WhipSession(voice(), events);
      await session.open(endpoint);
      return session;
    },
    mesh: (events) => openMeshPublisher(base, stream, events),
  };
}

/**
 * Open a connection that sends the voice, if there is one, and the mesh frames; where that fails,
 * one that sends the mesh frames alone.
 *
 * @param {Paths} paths
 * @param {boolean} speaks whether there is a voice
 * @param {PathEvents} events
 * @returns {Promise<MeshPublisher | WhipSession>}
 * @throws {Trouble} if neither can be opened
 */
export async function openPublisher(paths, speaks, events) {
  if (!speaks) return paths.mesh(events);
  try {
    const session = await paths.voice(events);
    events.onVoice(null);
    return session;
  } catch (error) {
    if (!(error instanceof Trouble) || FATAL.includes(error.kind)) throw error;
    const publisher = await paths.mesh(events);
    events.onVoice(error);
    return publisher;
  }
}
