// Keeps a picture on screen: opens a session, and another one whenever it ends, for as long as the
// page lives. Says what state it is in; how that looks is for others.

import { Backoff } from "./backoff.js";
import { Session } from "./session.js";
import { Trouble, waitAfter } from "./trouble.js";

/**
 * @typedef {{state: "connecting"} | {state: "live"}
 *   | {state: "waiting", trouble: Trouble, until_ms: number | null}} ViewerState
 *   `until_ms` in `performance.now()`; null if no further try is made
 */

export class Viewer {
  #endpoint;
  #events;
  #onState;
  #backoff = new Backoff();
  #life = new AbortController();
  /** @type {Session | null} */ #session = null;
  /** @type {() => void} */ #wake = () => {};

  /**
   * @param {URL} endpoint the stream's WHEP address
   * @param {import("./session.js").SessionEvents & {onState: (state: ViewerState) => void}} events
   */
  constructor(endpoint, { onState, ...events }) {
    this.#endpoint = endpoint;
    this.#events = events;
    this.#onState = onState;
  }

  /** @returns {Session | null} the session of the picture on screen */
  get session() {
    return this.#session;
  }

  /** Shows the stream until `close`. */
  async run() {
    while (!this.#life.signal.aborted) {
      const trouble = await this.#watchOnce();
      if (this.#life.signal.aborted) return;
      // Said before the session is closed, while its last picture can still be kept.
      const wait_s = waitAfter(trouble, this.#backoff);
      const until_ms = wait_s === null ? null : performance.now() + wait_s * 1000;
      this.#onState({ state: "waiting", trouble, until_ms });
      this.#leave();
      await this.#pause(wait_s);
    }
  }

  /** Called when a picture is on screen. */
  pictureShown() {
    if (!this.#session) return;
    this.#backoff.reset();
    this.#onState({ state: "live" });
  }

  /** Tries again without waiting any longer, if it is waiting. */
  retryNow() {
    this.#wake();
  }

  close() {
    this.#life.abort();
    this.#leave();
    this.#wake();
  }

  #leave() {
    this.#session?.close();
    this.#session = null;
  }

  /** @returns {Promise<Trouble>} why it ended */
  async #watchOnce() {
    this.#onState({ state: "connecting" });
    try {
      this.#session = new Session(this.#events);
      await this.#session.open(this.#endpoint, this.#life.signal);
      return await this.#session.ended;
    } catch (error) {
      return error instanceof Trouble
        ? error
        : new Trouble("refused", { detail: String(error.message ?? error) });
    }
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
