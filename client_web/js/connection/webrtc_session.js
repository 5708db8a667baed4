// One WebRTC session with the server, from offer to end. A session is never reused.

import { LiveChannel } from "./live_channel.js";
import { parseEvent } from "./messages.js";
import { Trouble } from "./trouble.js";
import { closeSession, openSession } from "./whep.js";

const ANSWER_TIMEOUT_MS = 12_000; // a server that is loading its networks answers slowly
const CONNECT_TIMEOUT_MS = 5_000; // then the JPEG fallback is tried
const SILENCE_TIMEOUT_MS = 3_000; // the server repeats its frame every 100 ms when nothing moves
const FIRST_FRAME_TIMEOUT_MS = 25_000; // a busy server may take this long to fill the first cache
const DECODE_TIMEOUT_MS = 6_000; // data arrives but no frame is decoded
const CHECK_EVERY_MS = 500;
const MOST_WAITING_BYTES = 400; // two views

/**
 * @typedef {object} SessionEvents
 * @property {(stream: MediaStream) => void} onVideo
 * @property {(receiver: RTCRtpReceiver) => void} [onVoice] missing on a page that is to hear none
 * @property {(event: import("./messages.js").ServerEvent) => void} onEvent
 * @property {() => void} onReady messages can be sent
 * @property {() => boolean} isVisible whether the page is visible: a hidden one may stop decoding
 */

export class WebRtcSession {
  #pc;
  #view;
  #events;
  /** @type {URL | null} */ #address = null;
  /** @type {(trouble: Trouble) => void} */ #end = () => {};
  /** @type {() => void} */ #connect = () => {};
  /** @type {ReturnType<typeof setTimeout>[]} */ #timers = [];
  #media = { bytes: 0, frames: 0, bytesAt_ms: 0, framesAt_ms: 0 };
  #connected = false;

  /** @type {"webrtc"} */ delivery = "webrtc";

  /** @type {Promise<Trouble>} resolves with the reason when the session is over */
  ended;

  /** @type {Promise<void>} resolves when the peers are connected */
  connected;

  /** @param {SessionEvents} events */
  constructor(events) {
    if (typeof RTCPeerConnection === "undefined") throw new Trouble("unsupported");
    this.#events = events;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.connected = new Promise((resolve) => {
      this.#connect = resolve;
    });
    this.#pc = new RTCPeerConnection();
    this.#view = this.#prepare();
  }

  /**
   * Open the session.
   *
   * @param {URL} endpoint the stream's WHEP address
   * @param {AbortSignal} signal gives up
   * @param {string | null} [ticket] of the queue
   * @param {number} [display_px] rows of the frame on the screen, in its own pixels; 0: unknown
   * @throws {Trouble} if the server cannot be reached or refuses
   */
  async open(endpoint, signal, ticket = null, display_px = 0) {
    const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    try {
      this.#address = await openSession(this.#pc, endpoint, {
        signal: AbortSignal.any([signal, timeout]),
        ticket,
        display_px,
        readAnswer: separateVoice,
      });
    } catch (error) {
      if (timeout.aborted) throw new Trouble("unreachable", { detail: "no answer in time" });
      throw error;
    }
    this.#startChecks();
  }

  /** @returns {URL | null} where the session is on the server; null before the answer */
  get address() {
    return this.#address;
  }

  /** @returns {string | null} the session's id on the server */
  get id() {
    return this.#address?.pathname.split("/").at(-1) ?? null;
  }

  /**
   * Send a message now or never: a late pose is worthless.
   *
   * @param {string} text
   * @returns {boolean} whether it was sent
   */
  send(text) {
    return this.#view.send(text);
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

  /** End the session here and on the server. May be called while the page is closing. */
  close() {
    this.#timers.forEach(clearInterval);
    this.#pc.close();
    this.#end(new Trouble("lost"));
    if (this.#address) closeSession(this.#address);
    this.#address = null;
  }

  #prepare() {
    const { receiver } = this.#pc.addTransceiver("video", { direction: "recvonly" });
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0; // lowest latency
    if (this.#events.onVoice) this.#pc.addTransceiver("audio", { direction: "recvonly" });
    // Unordered and unreliable: a lost pose is replaced by the next one.
    const view = this.#pc.createDataChannel("view", { ordered: false, maxRetransmits: 0 });
    view.onopen = () => this.#events.onReady();
    const live = new LiveChannel(view, MOST_WAITING_BYTES, () => this.#events.onReady());
    this.#pc.createDataChannel("events").onmessage = ({ data }) => {
      const event = parseEvent(data);
      if (event) this.#events.onEvent(event);
      if (event?.type === "expired") this.#end(new Trouble("expired", { detail: event.detail }));
      if (event?.type === "ended")
        this.#end(new Trouble("unknown-stream", { detail: event.detail }));
    };
    this.#pc.ontrack = ({ track, receiver }) => {
      if (track.kind === "audio") this.#events.onVoice?.(receiver);
      else this.#events.onVideo(new MediaStream([track]));
    };
    this.#pc.onconnectionstatechange = () => this.#connectionChanged();
    return live;
  }

  #connectionChanged() {
    const { connectionState } = this.#pc;
    this.#connected ||= connectionState === "connected";
    if (this.#connected) this.#connect();
    if (connectionState === "failed") this.#end(new Trouble(this.#connected ? "lost" : "blocked"));
  }

  /** End the session if nothing connects, nothing arrives, or nothing can be decoded. */
  #startChecks() {
    const now = performance.now();
    Object.assign(this.#media, { bytesAt_ms: now, framesAt_ms: now });
    this.#timers.push(
      setTimeout(() => {
        if (!this.#connected) this.#end(new Trouble("blocked"));
      }, CONNECT_TIMEOUT_MS),
      setInterval(() => this.#check(), CHECK_EVERY_MS),
    );
  }

  async #check() {
    if (this.#pc.connectionState === "closed") return;
    const { bytes, frames } = await this.received();
    const now = performance.now();
    const media = this.#media;
    if (bytes !== media.bytes) Object.assign(media, { bytes, bytesAt_ms: now });
    // Before the first data there is nothing to decode: a busy server may still fill the first cache.
    if (!bytes || frames !== media.frames || !this.#events.isVisible()) {
      Object.assign(media, { frames, framesAt_ms: now });
    }
    if (!this.#connected) return; // connecting has a timeout of its own
    const timeout_ms = bytes ? SILENCE_TIMEOUT_MS : FIRST_FRAME_TIMEOUT_MS;
    if (now - media.bytesAt_ms > timeout_ms) this.#end(new Trouble("stalled"));
    else if (now - media.framesAt_ms > DECODE_TIMEOUT_MS) this.#end(new Trouble("undecodable"));
  }
}

/**
 * Put the voice of an answer into a media stream of its own. The browser would align both tracks of
 * one stream, and hold the video back where the voice takes longer; this page holds back the voice.
 *
 * @param {string} sdp
 * @returns {string}
 */
export function separateVoice(sdp) {
  const [session, ...sections] = sdp.split(/^(?=m=)/m);
  const separated = sections.map((section) =>
    section.startsWith("m=audio") ? section.replace(/^a=msid:\S+/m, "a=msid:voice") : section,
  );
  return [session, ...separated].join("");
}
