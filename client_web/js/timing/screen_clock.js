// When the screen refreshes: learned from the times the browser gives to animation frames. Any rate
// will do. No clock inside.

import { rank } from "./percentiles.js";

const REMEMBERED = 32;
const FEWEST = 4;
const LONGEST_MS = 70; // longer gaps are pauses, not refreshes
const SHORTEST_MS = 2; // and shorter ones the same refresh told twice

export class ScreenClock {
  /** @type {number[]} */ #gaps = [];
  /** @type {number | null} */ #last_ms = null;
  /** @type {number | null} */ #interval_ms = null;

  /** @param {number} at_ms the time of an animation frame */
  refreshed(at_ms) {
    const gap = at_ms - (this.#last_ms ?? at_ms);
    this.#last_ms = at_ms;
    if (gap < SHORTEST_MS || gap > LONGEST_MS) return;
    this.#gaps.push(gap);
    if (this.#gaps.length > REMEMBERED) this.#gaps.shift();
    if (this.#gaps.length < FEWEST) return;
    // Of the shorter ones, for a busy page misses frames but never gets too many.
    this.#interval_ms = rank([...this.#gaps].sort((a, b) => a - b), 0.25);
  }

  /** @returns {number | null} between two refreshes; null while unknown */
  get interval_ms() {
    return this.#interval_ms;
  }

  /**
   * @param {number} at_ms
   * @returns {number | null} the first refresh then or later; null while none is known of
   */
  next(at_ms) {
    if (this.#interval_ms === null) return null;
    const count = Math.ceil((at_ms - this.#last_ms) / this.#interval_ms - 1e-6);
    return this.#last_ms + count * this.#interval_ms;
  }
}
