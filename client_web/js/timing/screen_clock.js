// When the screen refreshes, estimated from the timestamps of animation frames. Works for any
// refresh rate. No clock inside.

import { ascending, rank } from "./percentiles.js";

const MAX_GAPS = 32;
const MIN_GAPS = 4; // fewer give no estimate
const LONGEST_MS = 70; // longer gaps are pauses of the page
const SHORTEST_MS = 2; // shorter gaps are two reports of one refresh
const QUANTILE = 0.25; // a busy page skips refreshes, so the shorter gaps are the true ones
const ROUNDING = 1e-6; // refreshes; without it a time right at a refresh may count as after it

export class ScreenClock {
  /** @type {number[]} */ #gaps = [];
  /** @type {number | null} */ #last_ms = null;
  /** @type {number | null} */ #interval_ms = null;

  /**
   * Add the timestamp of an animation frame.
   *
   * @param {number} at_ms
   */
  refreshed(at_ms) {
    const gap = at_ms - (this.#last_ms ?? at_ms);
    this.#last_ms = at_ms;
    if (gap < SHORTEST_MS || gap > LONGEST_MS) return;
    this.#gaps.push(gap);
    if (this.#gaps.length > MAX_GAPS) this.#gaps.shift();
    if (this.#gaps.length < MIN_GAPS) return;
    this.#interval_ms = rank(ascending(this.#gaps), QUANTILE);
  }

  /** @returns {number | null} time between two refreshes; null while unknown */
  get interval_ms() {
    return this.#interval_ms;
  }

  /**
   * Return the first refresh at a time or later.
   *
   * @param {number} at_ms
   * @returns {number | null} null while the interval is unknown
   */
  next(at_ms) {
    if (this.#interval_ms === null || this.#last_ms === null) return null;
    const count = Math.ceil((at_ms - this.#last_ms) / this.#interval_ms - ROUNDING);
    return this.#last_ms + count * this.#interval_ms;
  }
}
