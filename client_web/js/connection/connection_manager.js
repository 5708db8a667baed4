// Keeps a picture on screen: opens a session, and another one whenever it ends, for as long as the
// page lives; by WebRTC, or where that is blocked by single pictures. Says what state it is in; how that looks is for others.

import { Backoff } from "./backoff.js";
import { Trouble, waitAfter } from "./trouble.js";
import { Candidate, Moves, Retries, mayTryPictures } from "./delivery.js";

/**
 * @typedef {{state: "connecting"} | {state: "live"}
 *   | {state: "in-line", turn: import("./queue.js").Turn}
 *   | {state: "waiting", trouble: Trouble, until_ms: number | null}} ViewerState
 *   `until_ms` in `performance.now()`; null if no further try is made
 */

/**
 * @typedef {import("./webrtc_session.js").Session | import("./jpeg_session.js").PictureSession} AnySession
 * @typedef {object} Ways each makes a session and opens it
 * @property {(events: import("./webrtc_session.js").SessionEvents) => import("./webrtc_session.js").Session} webrtc
 * @property {() => import("./jpeg_session.js").PictureSession} pictures
 * @property {(session: AnySession, signal: AbortSignal, ticket: string | null) => Promise<void>} open
 * @property {Pick<import("./queue.js").WaitingLine, "ticket" | "wait" | "forget" | "leave">} line
 * @property {(state: ViewerState) => void} onState
 * @property {(way: import("./delivery.js").Way) => void} onWay the next picture comes this way
 */

export class Viewer {
  #ways;
  #events;
  #backoff = new Backoff();
  #life = new AbortController();
  #retries = new Retries();
  #moves = new Moves();
  /** @type {import("./delivery.js").Way} */ #way = "webrtc";
  /** @type {AnySession | null} */ #session = null;
  /** @type {() => void} */ #wake = () => {};

  /** @param {Ways} ways @param {import("./webrtc_session.js").SessionEvents} events of WebRTC's */
  constructor(ways, events) {
    this.#ways = ways;
    this.#events = events;
  }

  /** @returns {AnySession | null} the session of the picture on screen */
  get session() {
    return this.#session;
  }

  /** @returns {import("./delivery.js").Way} */
  get way() {
    return this.#way;
  }

  /** Shows the stream until `close`. */
  async run() {
    while (!this.#life.signal.aborted) {
      const ended = await this.#watchOnce();
      if (this.#life.signal.aborted) return;
      const trouble = ended.queue ? await this.#standInLine(ended.queue) : ended;
      if (this.#life.signal.aborted) return;
      if (!trouble) continue;
      // Said before the session is closed, while its last picture can still be kept.
      const wait_s = waitAfter(trouble, this.#backoff);
      const until_ms = wait_s === null ? null : performance.now() + wait_s * 1000;
      this.#ways.onState({ state: "waiting", trouble, until_ms });
      this.#leave();
      await this.#pause(wait_s);
    }
  }

  /** Called when a picture is on screen. */
  pictureShown() {
    if (!this.#session) return;
    this.#backoff.reset();
    this.#ways.line.forget();
    this.#ways.onState({ state: "live" });
  }

  /** Called when the server says that it ends: looks for another one that may stand in for it. */
  serverEnds() {
    this.#moves.begin();
  }

  /** Tries again without waiting any longer, if it is waiting. */
  retryNow() {
    this.#wake();
    this.#retries.now();
  }

  close() {
    this.#life.abort();
    this.#leave();
    this.#ways.line.leave();
    this.#wake();
  }

  #leave() {
    this.#session?.close();
    this.#session = null;
  }

  /** @param {URL} queue @returns {Promise<Trouble | void>} nothing once its turn has come */
  #standInLine(queue) {
    this.#leave();
    const onTurn = (turn) => this.#ways.onState({ state: "in-line", turn });
    return trouble(() => this.#ways.line.wait(queue, onTurn, this.#life.signal));
  }

  /** @returns {Promise<Trouble>} why it ended */
  async #watchOnce() {
    this.#ways.onState({ state: "connecting" });
    if (this.#way === "pictures") return this.#watchPictures();
    const trouble = await this.#watchVideo();
    if (!mayTryPictures(trouble) || this.#life.signal.aborted) return trouble;
    this.#leave();
    const other = await this.#watchPictures();
    // The server answers, so what is wrong with the other way too is the way.
    return trouble.kind === "blocked" && other.kind === "unreachable" ? trouble : other;
  }

  async #watchVideo() {
    this.#choose("webrtc");
    return trouble(async () => {
      this.#session = this.#ways.webrtc(this.#events);
      await this.#ways.open(this.#session, this.#life.signal, this.#ways.line.ticket);
      return this.#watchUntilMoved(this.#session);
    });
  }

  /** Shows pictures, and video as soon as it gets through. */
  async #watchPictures() {
    this.#choose("pictures");
    const failure = await trouble(async () => {
      this.#session = this.#ways.pictures();
      await this.#ways.open(this.#session, this.#life.signal, this.#ways.line.ticket);
    });
    if (failure) {
      if (failure.kind !== "full") this.#way = "webrtc"; // start over
      return failure;
    }
    return this.#watchUntilFound(this.#session, this.#retries);
  }

  /** Shows video until it ends; where the server says that it will, another one's as soon as it comes. */
  #watchUntilMoved(session) {
    this.#moves = new Moves();
    return this.#watchUntilFound(session, this.#moves);
  }

  /** @param {AnySession} session @param {{next: (signal: AbortSignal) => Promise<void>}} tries */
  async #watchUntilFound(session, tries) {
    const search = new AbortController();
    const signal = AbortSignal.any([search.signal, this.#life.signal]);
    const finding = this.#findVideo(tries, signal);
    const found = await Promise.race([session.ended, finding]);
    search.abort();
    if (found instanceof Trouble) {
      finding.then((late) => late?.session.close());
      return found;
    }
    if (!found) return session.ended; // video cannot come, ever
    if (this.#way === "webrtc") this.#ways.onState({ state: "connecting" }); // keeps the last picture
    this.#session = found.session;
    this.#choose("webrtc");
    found.candidate.adopt();
    session.close();
    return this.#watchUntilMoved(found.session);
  }

  /** Tries WebRTC beside what is shown until it gets through; null if it never will. */
  async #findVideo(tries, signal) {
    while (!signal.aborted) {
      await tries.next(signal);
      if (signal.aborted) return null;
      const candidate = new Candidate(this.#events);
      let session = null;
      const failure = await trouble(async () => {
        session = this.#ways.webrtc(candidate.events);
        await this.#ways.open(session, signal, null); // overtaking nobody
        return Promise.race([session.connected, session.ended]);
      });
      if (!failure && !signal.aborted) return { session, candidate };
      session?.close();
      if (failure?.kind === "unsupported") return null;
    }
    return null;
  }

  #choose(way) {
    this.#way = way;
    this.#ways.onWay(way);
  }

  #pause(wait_s) {
    return new Promise((resolve) => {
      const timer = wait_s === null ? 0 : setTimeout(resolve, wait_s * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** @param {() => Promise<Trouble | void>} attempt @returns {Promise<Trouble | void>} what it met */
async function trouble(attempt) {
  try {
    return await attempt();
  } catch (error) {
    return error instanceof Trouble
      ? error
      : new Trouble("refused", { detail: String(error.message ?? error) });
  }
}
