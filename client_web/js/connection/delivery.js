// Which way the picture comes, in turn: WebRTC; where that is blocked, single pictures; and WebRTC
// again once it is found to get through, tried from time to time beside the pictures.

import { Trouble } from "./trouble.js";

const FIRST_TRY_MS = 30_000;
const LONGEST_WAIT_MS = 300_000;
const MOVE_EVERY_MS = 3_000;

/** @typedef {"webrtc" | "pictures"} Way */

/** @param {Trouble} trouble @returns {boolean} whether pictures may come where WebRTC does not */
export function mayTryPictures(trouble) {
  return trouble.kind === "blocked" || trouble.kind === "unsupported";
}

/**
 * A session that waits until it gets through, then takes part: what it has to say before is kept
 * back, for another one is on screen.
 */
export class Candidate {
  #events;
  /** @type {MediaStream | null} */ #stream = null;
  #adopted = false;

  /** @param {import("./webrtc_session.js").SessionEvents} events */
  constructor(events) {
    this.#events = events;
  }

  /** @returns {import("./webrtc_session.js").SessionEvents} for the session that waits */
  get events() {
    return {
      ...this.#events,
      onVideo: (stream) => {
        this.#stream = stream;
        if (this.#adopted) this.#events.onVideo(stream);
      },
      onEvent: (text) => this.#adopted && this.#events.onEvent(text),
      onReady: () => this.#adopted && this.#events.onReady(),
    };
  }

  adopt() {
    this.#adopted = true;
    if (this.#stream) this.#events.onVideo(this.#stream);
    this.#events.onReady();
  }
}

/** When to try WebRTC again: ever less often, and at once when the network changes. */
export class Retries {
  #wait_ms = FIRST_TRY_MS;
  /** @type {() => void} */ #wake = () => {};

  /** @param {AbortSignal} signal ends the wait too @returns {Promise<void>} */
  next(signal) {
    const wait_ms = this.#wait_ms;
    this.#wait_ms = Math.min(2 * wait_ms, LONGEST_WAIT_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait_ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener("abort", this.#wake, { once: true });
    });
  }

  now() {
    this.#wake();
  }
}

/** When to look for another server: from the moment this one says that it ends, every few seconds. */
export class Moves {
  /** @type {() => void} */ #begin;
  #begun = new Promise((resolve) => (this.#begin = resolve));
  #first = true;

  begin() {
    this.#begin();
  }

  /** @param {AbortSignal} signal ends the wait too @returns {Promise<void>} */
  async next(signal) {
    const given_up = new Promise((resolve) =>
      signal.addEventListener("abort", resolve, { once: true }),
    );
    await Promise.race([this.#begun, given_up]);
    const wait_ms = this.#first ? 0 : MOVE_EVERY_MS;
    this.#first = false;
    let timer = 0;
    const waited = new Promise((resolve) => (timer = setTimeout(resolve, wait_ms)));
    await Promise.race([waited, given_up]);
    clearTimeout(timer);
  }
}
