// Keeps a session with the server for as long as the page lives: opens one, and another one whenever
// it ends; by WebRTC or, where that is blocked, by the JPEG fallback. Reports its state; showing it
// is the job of others.

import { Backoff } from "./backoff.js";
import { Candidate, mayUseJpeg, ServerSearch, WebRtcRetries } from "./delivery.js";
import { messageOf, Trouble, waitAfter } from "./trouble.js";

/**
 * @typedef {import("./delivery.js").Delivery} Delivery
 * @typedef {import("./webrtc_session.js").SessionEvents} SessionEvents
 * @typedef {import("./webrtc_session.js").WebRtcSession} WebRtcSession
 * @typedef {import("./jpeg_session.js").JpegSession} JpegSession
 * @typedef {WebRtcSession | JpegSession} Session
 *
 * @typedef {{state: "connecting"} | {state: "live"}
 *   | {state: "queued", queue: import("./queue.js").QueueStatus}
 *   | {state: "waiting", trouble: Trouble, until_ms: number | null}} ConnectionState
 *   `until_ms`: when the next attempt is made, `performance.now()`; null if none is made
 *
 * @typedef {object} Connections makes sessions and opens them
 * @property {(events: SessionEvents) => WebRtcSession} webrtc
 * @property {() => JpegSession} jpeg
 * @property {(session: Session, signal: AbortSignal, ticket: string | null) => Promise<void>} open
 * @property {Pick<import("./queue.js").Queue, "ticket" | "wait" | "forget" | "leave">} queue
 * @property {(state: ConnectionState) => void} onState
 * @property {(delivery: Delivery) => void} onDelivery how the next frame is delivered
 *
 * @typedef {{session: WebRtcSession, candidate: Candidate}} Connected a session in the background
 */

export class ConnectionManager {
  #connections;
  #events;
  #backoff = new Backoff();
  #life = new AbortController();
  #retries = new WebRtcRetries();
  #search = new ServerSearch();
  /** @type {Delivery} */ #delivery = "webrtc";
  /** @type {Session | null} */ #session = null;
  /** @type {() => void} */ #wake = () => {};

  /**
   * @param {Connections} connections
   * @param {SessionEvents} events of WebRTC sessions
   */
  constructor(connections, events) {
    this.#connections = connections;
    this.#events = events;
  }

  /** @returns {Session | null} the session whose frames are displayed */
  get session() {
    return this.#session;
  }

  /** @returns {Delivery} */
  get delivery() {
    return this.#delivery;
  }

  /** Show the stream until `close` is called. */
  async run() {
    while (!this.#life.signal.aborted) {
      const ended = await this.#connect();
      if (this.#life.signal.aborted) return;
      const trouble = ended.queue ? await this.#waitInQueue(ended.queue) : ended;
      if (this.#life.signal.aborted) return;
      if (!trouble) continue;
      // Reported before the session is closed, while its last frame can still be kept as a still.
      const wait_s = waitAfter(trouble, this.#backoff);
      const until_ms = wait_s === null ? null : performance.now() + wait_s * 1000;
      this.#connections.onState({ state: "waiting", trouble, until_ms });
      this.#closeSession();
      await this.#pause(wait_s);
    }
  }

  /** Must be called when a frame of the present session is displayed. */
  frameDisplayed() {
    if (!this.#session) return;
    this.#backoff.reset();
    this.#connections.queue.forget();
    this.#connections.onState({ state: "live" });
  }

  /** Must be called when the server is draining: looks for another server in the background. */
  serverDrains() {
    this.#search.begin();
  }

  /** Try again now if an attempt is being waited for. */
  retryNow() {
    this.#wake();
    this.#retries.now();
  }

  /** End the session and leave the queue. */
  close() {
    this.#life.abort();
    this.#closeSession();
    this.#connections.queue.leave();
    this.#wake();
  }

  #closeSession() {
    this.#session?.close();
    this.#session = null;
  }

  /**
   * @param {URL} queue
   * @returns {Promise<Trouble | void>} nothing once it is this viewer's turn
   */
  #waitInQueue(queue) {
    this.#closeSession();
    return troubleOf(() =>
      this.#connections.queue.wait(
        queue,
        (status) => this.#connections.onState({ state: "queued", queue: status }),
        this.#life.signal,
      ),
    );
  }

  /** @returns {Promise<Trouble>} why it ended */
  async #connect() {
    this.#connections.onState({ state: "connecting" });
    if (this.#delivery === "jpeg") return this.#connectByJpeg();
    const trouble = await this.#connectByWebRtc();
    if (!mayUseJpeg(trouble) || this.#life.signal.aborted) return trouble;
    this.#closeSession();
    const other = await this.#connectByJpeg();
    // The server answered the WHEP request, so an unreachable WebSocket is blocked as well.
    return trouble.kind === "blocked" && other.kind === "unreachable" ? trouble : other;
  }

  async #connectByWebRtc() {
    this.#setDelivery("webrtc");
    return troubleOf(async () => {
      const session = this.#connections.webrtc(this.#events);
      this.#session = session;
      await this.#connections.open(session, this.#life.signal, this.#connections.queue.ticket);
      return this.#watchWebRtc(session);
    });
  }

  /** Show JPEG images, and video as soon as WebRTC connects. */
  async #connectByJpeg() {
    this.#setDelivery("jpeg");
    /** @type {JpegSession | null} */
    let session = null;
    const trouble = await troubleOf(async () => {
      session = this.#connections.jpeg();
      this.#session = session;
      await this.#connections.open(session, this.#life.signal, this.#connections.queue.ticket);
    });
    if (trouble || !session) {
      // A queued viewer keeps to JPEG: its turn would pass while WebRTC is tried again.
      if (trouble?.kind !== "full") this.#delivery = "webrtc";
      return trouble ?? new Trouble("lost");
    }
    const ended = await this.#watchUntilReplaced(session, this.#retries);
    // The next answer says why a token is refused, which browsers hide for a WebSocket.
    if (ended.kind === "expired") this.#delivery = "webrtc";
    return ended;
  }

  /**
   * Show video until it ends; once the server drains, another server's as soon as it connects.
   *
   * @param {WebRtcSession} session
   * @returns {Promise<Trouble>}
   */
  #watchWebRtc(session) {
    this.#search = new ServerSearch();
    return this.#watchUntilReplaced(session, this.#search);
  }

  /**
   * @param {Session} session
   * @param {{next: (signal: AbortSignal) => Promise<void>}} attempts when to try WebRTC beside it
   * @returns {Promise<Trouble>}
   */
  async #watchUntilReplaced(session, attempts) {
    const search = new AbortController();
    const signal = AbortSignal.any([search.signal, this.#life.signal]);
    const connecting = this.#connectInBackground(attempts, signal);
    const outcome = await Promise.race([session.ended, connecting]);
    search.abort();
    if (outcome instanceof Trouble) {
      connecting.then((late) => late?.session.close());
      return outcome;
    }
    if (!outcome) return session.ended; // this browser has no WebRTC
    // Leaving the live state keeps the last frame until the new session's first one.
    if (this.#delivery === "webrtc") this.#connections.onState({ state: "connecting" });
    this.#session = outcome.session;
    this.#setDelivery("webrtc");
    outcome.candidate.adopt();
    session.close();
    return this.#watchWebRtc(outcome.session);
  }

  /**
   * Try WebRTC beside the displayed session until it connects.
   *
   * @param {{next: (signal: AbortSignal) => Promise<void>}} attempts
   * @param {AbortSignal} signal
   * @returns {Promise<Connected | null>} null if it never will, or if `signal` ends it
   */
  async #connectInBackground(attempts, signal) {
    while (!signal.aborted) {
      await attempts.next(signal);
      if (signal.aborted) return null;
      const candidate = new Candidate(this.#events);
      /** @type {WebRtcSession | null} */
      let session = null;
      const trouble = await troubleOf(async () => {
        const opened = this.#connections.webrtc(candidate.events);
        session = opened;
        // Without a ticket, so that it overtakes no queued viewer.
        await this.#connections.open(opened, signal, null);
        return Promise.race([opened.connected, opened.ended]);
      });
      if (session && !trouble && !signal.aborted) return { session, candidate };
      /** @type {WebRtcSession | null} */ (session)?.close();
      if (trouble?.kind === "unsupported") return null;
    }
    return null;
  }

  /** @param {Delivery} delivery */
  #setDelivery(delivery) {
    this.#delivery = delivery;
    this.#connections.onDelivery(delivery);
  }

  /**
   * @param {number | null} wait_s null: until `retryNow` is called
   * @returns {Promise<void>}
   */
  #pause(wait_s) {
    return new Promise((resolve) => {
      const timer = wait_s === null ? undefined : setTimeout(resolve, wait_s * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/**
 * Run an attempt and return its error as a `Trouble`.
 *
 * @template {Trouble | void} T
 * @param {() => Promise<T>} attempt
 * @returns {Promise<T | Trouble>}
 */
async function troubleOf(attempt) {
  try {
    return await attempt();
  } catch (error) {
    return error instanceof Trouble ? error : new Trouble("refused", { detail: messageOf(error) });
  }
}
