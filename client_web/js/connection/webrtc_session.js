// One WebRTC session with the server, from offer to end. It is never reused: whoever wants another
// opens another.

import { Trouble } from "./trouble.js";
import { closeSession, openSession } from "./whep.js";

const ANSWER_TIMEOUT_MS = 12_000; // a server that is loading its networks answers slowly
const CONNECT_TIMEOUT_MS = 5_000; // then pictures come another way
const SILENCE_MS = 3_000; // the server repeats its picture every 100 ms when nothing moves
const FIRST_PICTURE_MS = 25_000; // a busy server may take this long to fill the first cache
const BLIND_MS = 6_000;
const CHECK_MS = 500;
const FULL_BUFFER = 65_536; // bytes; live poses behind so many older ones are not worth sending

/**
 * @typedef {object} SessionEvents
 * @property {(stream: MediaStream) => void} onVideo
 * @property {(text: string) => void} onEvent one message of the `events` channel
 * @property {() => void} onReady the `view` channel takes messages
 * @property {() => boolean} watched whether the page is visible: a hidden one may stop decoding
 */

export class Session {
  #pc;
  #view;
  #events;
  /** @type {URL | null} */ #address = null;
  /** @type {(trouble: Trouble) => void} */ #end;
  /** @type {() => void} */ #connect;
  /** @type {ReturnType<typeof setTimeout>[]} */ #timers = [];
  #media = { bytes: 0, frames: 0, bytesAt_ms: 0, framesAt_ms: 0 };
  #connected = false;

  /** @type {Promise<Trouble>} resolves when the session is over, with the reason */
  ended;

  /** @type {Promise<void>} resolves when video can come */
  connected;

  /** @param {SessionEvents} events */
  constructor(events) {
    if (typeof RTCPeerConnection === "undefined") throw new Trouble("unsupported");
    this.#events = events;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.connected = new Promise((resolve) => (this.#connect = resolve));
    this.#pc = new RTCPeerConnection();
    this.#view = this.#prepare();
  }

  /**
   * @param {URL} endpoint @param {AbortSignal} signal gives up
   * @param {string | null} [ticket] of the waiting line
   * @throws {Trouble} if the server cannot be reached or refuses
   */
  async open(endpoint, signal, ticket = null) {
    const slow = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    try {
      this.#address = await openSession(this.#pc, endpoint, {
        signal: AbortSignal.any([signal, slow]),
        ticket,
      });
    } catch (error) {
      if (slow.aborted) throw new Trouble("unreachable", { detail: "no answer in time" });
      throw error;
    }
    this.#watchOver();
  }

  /** The session's id on the server, or null. */
  get id() {
    return this.#address?.pathname.split("/").at(-1) ?? null;
  }

  /**
   * Sends a message that is worth nothing later: into an open channel now, or never.
   *
   * @param {string} text
   * @returns {boolean} whether it went out
   */
  send(text) {
    if (this.#view.readyState !== "open" || this.#view.bufferedAmount > FULL_BUFFER) return false;
    this.#view.send(text);
    return true;
  }

  /** @returns {Promise<{bytes: number, frames: number}>} video received so far */
  async received() {
    for (const report of (await this.#pc.getStats()).values()) {
      if (report.type === "inbound-rtp" && report.kind === "video") {
        return { bytes: report.bytesReceived ?? 0, frames: report.framesDecoded ?? 0 };
      }
    }
    return { bytes: 0, frames: 0 };
  }

  /** Leaves the server too; may run while the page is being put away. */
  close() {
    this.#timers.forEach(clearInterval);
    this.#pc.close();
    this.#end(new Trouble("lost"));
    if (this.#address) closeSession(this.#address);
    this.#address = null;
  }

  #prepare() {
    const { receiver } = this.#pc.addTransceiver("video", { direction: "recvonly" });
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    const view = this.#pc.createDataChannel("view", { ordered: false, maxRetransmits: 0 });
    view.onopen = () => this.#events.onReady();
    this.#pc.createDataChannel("events").onmessage = ({ data }) => this.#events.onEvent(data);
    this.#pc.ontrack = ({ track }) => this.#events.onVideo(new MediaStream([track]));
    this.#pc.onconnectionstatechange = () => this.#connectionChanged();
    return view;
  }

  #connectionChanged() {
    const { connectionState } = this.#pc;
    this.#connected ||= connectionState === "connected";
    if (this.#connected) this.#connect();
    if (connectionState === "failed") this.#end(new Trouble(this.#connected ? "lost" : "blocked"));
  }

  /** Ends the session when nothing connects, nothing comes, or nothing can be made of it. */
  #watchOver() {
    const now = performance.now();
    Object.assign(this.#media, { bytesAt_ms: now, framesAt_ms: now });
    this.#timers.push(
      setTimeout(() => this.#connected || this.#end(new Trouble("blocked")), CONNECT_TIMEOUT_MS),
      setInterval(() => this.#check(), CHECK_MS),
    );
  }

  async #check() {
    if (this.#pc.connectionState === "closed") return;
    const { bytes, frames } = await this.received();
    const now = performance.now();
    const media = this.#media;
    if (bytes !== media.bytes) Object.assign(media, { bytes, bytesAt_ms: now });
    if (frames !== media.frames || !this.#events.watched())
      Object.assign(media, { frames, framesAt_ms: now });
    if (!this.#connected) return; // the time for connecting runs apart
    if (now - media.bytesAt_ms > (bytes ? SILENCE_MS : FIRST_PICTURE_MS))
      this.#end(new Trouble("stalled"));
    else if (now - media.framesAt_ms > BLIND_MS) this.#end(new Trouble("undecodable"));
  }
}
