// When to send a view. Of all poses whose frames would reach the screen at the same refresh only the
// last one matters: it is sent just in time for that refresh. If no newer pose will come before
// then, the present one is sent at once.

import { ascending, rank } from "./percentiles.js";
import { ScreenClock } from "./screen_clock.js";

const AWAKE_MS = 500; // the screen is observed for this long after the last movement
const STALE_MS = 1000; // a refresh predicted from older observations may be wrong
const MIN_GAPS = 9; // fewer movements give no rhythm
const PAUSE_MS = 100; // a longer gap ends the rhythm
const LATE_SHARE = 1.1; // the next movement is expected within this multiple of the usual gap
const FALLBACK_MS = 1000 / 60; // between views while the refresh interval is unknown
const TOLERANCE = 1.03; // the server's pacing accepts frames this much too early
const EARLY_SHARE = 0.8; // of the time between frames; the refresh grid moves against it

/**
 * @typedef {object} Timers
 * @property {() => number} now `performance.now`
 * @property {(callback: (at_ms: number) => void) => void} requestFrame `requestAnimationFrame`
 * @property {(callback: () => void, delay_ms: number) => any} setTimer `setTimeout`
 * @property {(timer: any) => void} clearTimer `clearTimeout`
 *
 * @typedef {{begins_ms: number, refresh_ms: number | null}} Slot when to send for which refresh
 */

export class ViewClock {
  #send;
  #transit;
  #timers;
  #screen = new ScreenClock();
  #rhythm = new Rhythm();
  /** @type {any} */ #timer = null;
  #observing = false;
  #awakeUntil_ms = -Infinity;
  #observedAt_ms = -Infinity;
  #nextDue_ms = -Infinity; // refresh for which the next frame is due at an even frame rate
  #sentAt_ms = -Infinity;

  /** Highest frame rate of the server. */
  fps = 60;

  /**
   * @param {(planned_ms: number) => void} send sends the newest pose
   * @param {Pick<import("./transit.js").Transit, "lead_ms">} transit
   * @param {Timers} timers
   */
  constructor(send, transit, timers) {
    this.#send = send;
    this.#transit = transit;
    this.#timers = timers;
  }

  /** Must be called when the view was moved by an input device. */
  moved() {
    const now = this.#timers.now();
    this.#plan(now, this.#rhythm.moved(now));
  }

  /** Must be called while the view glides: then a newer pose is available at any moment. */
  glides() {
    const now = this.#timers.now();
    this.#plan(now, now);
  }

  /** @returns {number | null} how long before a refresh views are sent; null while unknown */
  get lead_ms() {
    const { interval_ms } = this.#screen;
    return interval_ms === null ? null : this.#transit.lead_ms(interval_ms);
  }

  /**
   * @param {number} now
   * @param {number} newer_ms when a newer pose is expected
   */
  #plan(now, newer_ms) {
    this.#observe(now);
    const slot = this.#slot(now);
    const isLast = newer_ms > slot.begins_ms && slot.refresh_ms !== null;
    if (isLast || slot.begins_ms <= now) {
      this.#sendFor(slot, now);
      return;
    }
    this.#timer ??= this.#timers.setTimer(
      () => this.#sendFor(slot, this.#timers.now()),
      slot.begins_ms - now,
    );
  }

  /**
   * Return the next refresh that a frame for a pose sent now can reach, and when to send for it.
   *
   * @param {number} now
   * @returns {Slot} without a refresh while refreshes cannot be predicted
   */
  #slot(now) {
    const lead_ms = this.lead_ms;
    const { interval_ms } = this.#screen;
    if (lead_ms === null || interval_ms === null || now - this.#observedAt_ms > STALE_MS) {
      return { begins_ms: Math.max(now, this.#sentAt_ms + FALLBACK_MS), refresh_ms: null };
    }
    const free_ms = this.#nextDue_ms - EARLY_SHARE * this.#spacing_ms(interval_ms);
    const refresh_ms = this.#screen.next(Math.max(now + lead_ms, free_ms));
    return { begins_ms: (refresh_ms ?? now) - lead_ms, refresh_ms };
  }

  /**
   * Time between frames: the refresh interval, unless the server's frame rate is lower.
   *
   * @param {number} interval_ms
   */
  #spacing_ms(interval_ms) {
    const shortest_ms = 1000 / this.fps;
    return interval_ms * TOLERANCE >= shortest_ms ? interval_ms : shortest_ms;
  }

  /**
   * @param {Slot} slot
   * @param {number} now
   */
  #sendFor({ begins_ms, refresh_ms }, now) {
    this.#timers.clearTimer(this.#timer);
    this.#timer = null;
    this.#sentAt_ms = now;
    if (refresh_ms !== null) {
      const spacing_ms = this.#spacing_ms(this.#screen.interval_ms ?? FALLBACK_MS);
      this.#nextDue_ms = Math.max(this.#nextDue_ms, refresh_ms) + spacing_ms;
    }
    this.#send(Math.min(begins_ms, now));
  }

  /** @param {number} now */
  #observe(now) {
    this.#awakeUntil_ms = now + AWAKE_MS;
    if (this.#observing) return;
    this.#observing = true;
    this.#timers.requestFrame((at_ms) => this.#refreshed(at_ms));
  }

  /** @param {number} at_ms */
  #refreshed(at_ms) {
    this.#screen.refreshed(at_ms);
    this.#observedAt_ms = at_ms;
    this.#observing = at_ms < this.#awakeUntil_ms;
    if (this.#observing) this.#timers.requestFrame((next_ms) => this.#refreshed(next_ms));
  }
}

/** How often movements come: a mouse moves up to 1000 times per second, a tracker 60, a key once. */
class Rhythm {
  /** @type {number[]} */ #gaps = [];
  #last_ms = -Infinity;

  /**
   * Add a movement.
   *
   * @param {number} now
   * @returns {number} when the next one is expected; Infinity if unknown
   */
  moved(now) {
    const gap = now - this.#last_ms;
    this.#last_ms = now;
    if (gap > PAUSE_MS) this.#gaps = [];
    else this.#gaps.push(gap);
    if (this.#gaps.length > MIN_GAPS) this.#gaps.shift();
    if (this.#gaps.length < MIN_GAPS) return Infinity;
    return now + LATE_SHARE * (rank(ascending(this.#gaps), 0.5) ?? Infinity);
  }
}
