// Sends mesh frames to a stream over a WebSocket.

import { access } from "./access.js";
import { findHost } from "./host.js";
import { parseJson } from "./messages.js";
import { Trouble } from "./trouble.js";

const OPEN = 1; // `WebSocket.OPEN`
const MOST_WAITING_BYTES = 135; // one frame
const CLOSE_CODE_BASE = 4000; // the server closes with this plus the HTTP status it would answer
const OPEN_TIMEOUT_MS = 10_000;

/**
 * @typedef {object} MeshPublisher
 * @property {(message: ArrayBuffer) => boolean} send a frame now or never; returns whether it was sent
 * @property {() => void} close
 * @property {(track: MediaStreamTrack | null) => Promise<void>} [useVoice] sends another voice, or
 *   none; missing where the connection cannot send one
 * @property {() => Promise<number>} [voiceBytes] of voice sent so far, without headers
 *
 * @typedef {object} PublisherEvents
 * @property {(trouble: Trouble) => void} onEnd the connection has ended by itself
 * @property {(detail: string) => void} onRefused the server refused a frame
 */

/**
 * Open a connection for mesh frames.
 *
 * @param {URL} base the server's address
 * @param {string} stream
 * @param {PublisherEvents} events
 * @returns {Promise<MeshPublisher>}
 * @throws {Trouble} if the server cannot be reached or refuses
 */
export async function openMeshPublisher(base, stream, { onEnd, onRefused }) {
  const { address } = await findHost(base, `v1/streams/${encodeURIComponent(stream)}`);
  address.pathname += "/frames";
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address, access.subprotocols(address));
  socket.onmessage = ({ data }) => {
    const message = /** @type {any} */ (parseJson(String(data)));
    if (message?.type === "error") onRefused(String(message.detail));
  };
  let closed = false;
  const close = () => {
    closed = true;
    socket.close();
  };
  await opened(socket, close);
  socket.onclose = ({ code, reason }) => {
    if (!closed) onEnd(closeTrouble(code, reason));
  };
  return {
    close,
    send: (message) => {
      if (socket.readyState !== OPEN || socket.bufferedAmount > MOST_WAITING_BYTES) return false;
      socket.send(message);
      return true;
    },
  };
}

/**
 * @param {WebSocket} socket
 * @param {() => void} close
 * @returns {Promise<void>}
 */
function opened(socket, close) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      close();
      reject(new Trouble("unreachable"));
    }, OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(timer);
      reject(closeTrouble(code, reason));
    };
  });
}

/**
 * @param {number} code
 * @param {string} detail
 */
function closeTrouble(code, detail) {
  const status = Math.max(0, code - CLOSE_CODE_BASE);
  if (status === 401 || status === 403) return new Trouble("sign-in", { status, detail });
  if (status === 404) return new Trouble("unknown-stream", { status, detail });
  return new Trouble(status ? "refused" : "unreachable", { status, detail });
}
