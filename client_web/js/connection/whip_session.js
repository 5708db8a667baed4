// Publishes a voice, and the mesh frames beside it, over one WebRTC connection (WHIP, RFC 9725).

import { LiveChannel } from "./live_channel.js";
import { parseJson } from "./messages.js";
import { Trouble } from "./trouble.js";
import { closeSession, openSession } from "./whep.js";

const ANSWER_TIMEOUT_MS = 12_000;
const CONNECT_TIMEOUT_MS = 5_000; // then the mesh frames go by WebSocket
const DISCONNECTED_TIMEOUT_MS = 4_000; // a change of networks heals within it, or not at all
const MOST_WAITING_BYTES = 135; // one frame
const VOICE_BITRATE = 32_000; // full-band speech (RFC 7587, section 3.1.1)
const CAPTURE_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";

/**
 * @typedef {import("./mesh_publisher.js").PublisherEvents} PublisherEvents
 *
 * @typedef {object} HeaderExtension
 * @property {string} uri
 * @property {RTCRtpTransceiverDirection} direction
 *
 * @typedef {object} ExtensionNegotiation where browsers let the page choose header extensions
 * @property {() => HeaderExtension[]} [getHeaderExtensionsToNegotiate]
 * @property {(extensions: HeaderExtension[]) => void} [setHeaderExtensionsToNegotiate]
 */

/** One publication, from offer to end. It is never reused. A `MeshPublisher` with a voice. */
export class WhipSession {
  #pc;
  #mesh;
  #frames;
  #voice;
  #events;
  /** @type {URL | null} */ #address = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #disconnected;
  #open = false;
  #over = false;
  /** @type {() => void} */ #connect = () => {};
  /** @type {(trouble: Trouble) => void} */ #fail = () => {};
  #connected;

  /**
   * @param {MediaStreamTrack | null} voice the microphone's; null to send none for now
   * @param {PublisherEvents} events
   * @throws {Trouble} in a browser without WebRTC
   */
  constructor(voice, events) {
    if (typeof RTCPeerConnection === "undefined") throw new Trouble("unsupported");
    this.#events = events;
    this.#connected = new Promise((resolve, reject) => {
      this.#connect = () => resolve(undefined);
      this.#fail = reject;
    });
    this.#connected.catch(() => {}); // awaited only after the answer
    this.#pc = new RTCPeerConnection();
    const transceiver = this.#pc.addTransceiver(voice ?? "audio", { direction: "sendonly" });
    sendCaptureTimes(transceiver);
    this.#voice = transceiver.sender;
    // Unordered and unreliable: a lost frame is replaced by the next one.
    this.#mesh = this.#pc.createDataChannel("mesh", { ordered: false, maxRetransmits: 0 });
    this.#frames = new LiveChannel(this.#mesh, MOST_WAITING_BYTES);
    this.#mesh.onopen = () => {
      this.#open = true;
      this.#connect();
    };
    this.#mesh.onclose = () => this.#end(new Trouble("lost"));
    this.#mesh.onmessage = ({ data }) => {
      const message = /** @type {any} */ (parseJson(String(data)));
      if (message?.type === "error") this.#events.onRefused(String(message.detail));
    };
    this.#pc.onconnectionstatechange = () => this.#connectionChanged();
  }

  /**
   * Open the publication; resolves when both ends are connected.
   *
   * @param {URL} endpoint the stream's WHIP address
   * @throws {Trouble} if the server cannot be reached or refuses, or if WebRTC is blocked
   */
  async open(endpoint) {
    const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    try {
      this.#address = await openSession(this.#pc, endpoint, { signal: timeout });
      await limitBitrate(this.#voice);
    } catch (error) {
      this.close();
      if (timeout.aborted) throw new Trouble("unreachable", { detail: "no answer in time" });
      throw error;
    }
    const blocked = setTimeout(() => this.#end(new Trouble("blocked")), CONNECT_TIMEOUT_MS);
    await this.#connected.finally(() => clearTimeout(blocked));
  }

  /**
   * Send a frame now or never: a late one is worthless.
   *
   * @param {ArrayBuffer} message
   * @returns {boolean} whether it was sent
   */
  send(message) {
    return this.#frames.send(message);
  }

  /**
   * Send another voice, without a new connection.
   *
   * @param {MediaStreamTrack | null} track null for none
   */
  async useVoice(track) {
    await this.#voice.replaceTrack(track);
  }

  /** @returns {Promise<number>} bytes of voice sent so far, without headers */
  async voiceBytes() {
    for (const report of (await this.#voice.getStats()).values()) {
      if (report.type === "outbound-rtp") return report.bytesSent ?? 0;
    }
    return 0;
  }

  /** End the publication here and on the server. May be called while the page is closing. */
  close() {
    this.#over = true;
    clearTimeout(this.#disconnected);
    this.#pc.close();
    if (this.#address) void closeSession(this.#address);
    this.#address = null;
  }

  #connectionChanged() {
    const { connectionState } = this.#pc;
    clearTimeout(this.#disconnected);
    if (connectionState === "failed") this.#end(new Trouble("lost"));
    if (connectionState !== "disconnected") return;
    this.#disconnected = setTimeout(() => this.#end(new Trouble("lost")), DISCONNECTED_TIMEOUT_MS);
  }

  /**
   * @param {Trouble} trouble reason of the end: thrown by `open` while that waits, later passed to
   *   `onEnd`
   */
  #end(trouble) {
    if (this.#over) return;
    this.close();
    if (this.#open) this.#events.onEnd(trouble);
    else this.#fail(new Trouble("blocked"));
  }
}

/**
 * Ask the browser to send when each sound was captured, which browsers do not by themselves.
 * https://webrtc.googlesource.com/src/+/refs/heads/main/docs/native-code/rtp-hdrext/abs-capture-time
 *
 * @param {RTCRtpTransceiver} transceiver
 */
function sendCaptureTimes(transceiver) {
  const negotiation = /** @type {ExtensionNegotiation} */ (transceiver);
  const extensions = negotiation.getHeaderExtensionsToNegotiate?.() ?? [];
  const wanted = extensions.find(({ uri }) => uri === CAPTURE_TIME_URI);
  if (!wanted) return; // the server then uses the times of arrival
  wanted.direction = "sendrecv";
  negotiation.setHeaderExtensionsToNegotiate?.(extensions);
}

/** @param {RTCRtpSender} sender */
async function limitBitrate(sender) {
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings ?? []) encoding.maxBitrate = VOICE_BITRATE;
  await sender.setParameters(parameters);
}
