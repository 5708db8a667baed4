// When to send a view: of all poses that would reach the screen at the same refresh only the last
// one, just in time for the frame drawn for it. Where nothing newer will come in time, at once.

import { rank } from "./percentiles.js";
import { ScreenClock } from "./screen_clock.js";

const AWAKE_MS = 500; // so long after the last movement the screen is watched
const STALE_MS = 1000; // refreshes foretold from so long ago are guesses
const RHYTHM = 9; // movements
const PAUSE_MS = 100; // movements further apart make no rhythm
const LIKELY = 1.1; // of the usual gap, within which the next movement comes
const FALLBACK_MS = 1000 / 60;
const TOLERANCE = 1.03; // both as the server allows, in server/pace.py
const EARLY = 0.8; // of the time between frames

/**
 * @typedef {object} Page
 * @property {() => number} now `performance.now`
 * @property {(callback: (at_ms: number) => void) => void} requestFrame `requestAnimationFrame`
 * @property {(callback: () => void, delay_ms: number) => any} setTimer `setTimeout`
 * @property {(timer: any) => void} clearTimer `clearTimeout`
 */

export class ViewClock {
  #send;
  #transit;
  #page;
  #screen = new ScreenClock();
  #rhythm = new Rhythm();
  #timer = null;
  #watching = false;
  #awakeUntil_ms = -Infinity;
  #watched_ms = -Infinity;
  #even_ms = -Infinity; // the refresh that the next frame is for if all come evenly
  #sent_ms = -Infinity;

  /** Most frames a second that the server draws. */
  fps = 60;

  /**
   * @param {(planned_ms: number) => void} send sends the newest pose
   * @param {import("./transit.js").Transit} transit
   * @param {Page} page
   */
  constructor(send, transit, page) {
    this.#send = send;
    this.#transit = transit;
    this.#page = page;
  }

  /** A hand, or whatever else is not of this page's making, has moved the view. */
  moved() {
    const now = this.#page.now();
    this.#plan(now, this.#rhythm.moved(now));
  }

  /** The view moves by itself, smoothly: a newer pose can be had at any moment. */
  glides() {
    const now = this.#page.now();
    this.#plan(now, now);
  }

  /** @returns {number | null} how long before a refresh views leave; null while unknown */
  get lead_ms() {
    const { interval_ms } = this.#screen;
    return interval_ms === null ? null : this.#transit.lead_ms(interval_ms);
  }

  #plan(now, newer_ms) {
    this.#watch(now);
    const slot = this.#slot(now);
    const last = newer_ms > slot.begins_ms && slot.refresh_ms !== null;
    if (last || slot.begins_ms <= now) return this.#go(slot, now);
    this.#timer ??= this.#page.setTimer(
      () => this.#go(slot, this.#page.now()),
      slot.begins_ms - now,
    );
  }

  /**
   * The next refresh that a frame drawn for a pose of now can reach, and when it has to leave for
   * it; without a refresh while they are not known.
   */
  #slot(now) {
    const lead_ms = this.lead_ms;
    const { interval_ms } = this.#screen;
    if (lead_ms === null || now - this.#watched_ms > STALE_MS) {
      return { begins_ms: Math.max(now, this.#sent_ms + FALLBACK_MS), refresh_ms: null };
    }
    const free_ms = this.#even_ms - EARLY * this.#spacing_ms(interval_ms);
    const refresh_ms = this.#screen.next(Math.max(now + lead_ms, free_ms));
    return { begins_ms: refresh_ms - lead_ms, refresh_ms };
  }

  /** Between frames: every refresh, unless those are too many for the server. */
  #spacing_ms(interval_ms) {
    const fewest_ms = 1000 / this.fps;
    return interval_ms * TOLERANCE >= fewest_ms ? interval_ms : fewest_ms;
  }

  #go({ begins_ms, refresh_ms }, now) {
    this.#page.clearTimer(this.#timer);
    this.#timer = null;
    this.#sent_ms = now;
    if (refresh_ms !== null)
      this.#even_ms =
        Math.max(this.#even_ms, refresh_ms) + this.#spacing_ms(this.#screen.interval_ms);
    this.#send(Math.min(begins_ms, now));
  }

  #watch(now) {
    this.#awakeUntil_ms = now + AWAKE_MS;
    if (this.#watching) return;
    this.#watching = true;
    this.#page.requestFrame((at_ms) => this.#refreshed(at_ms));
  }

  #refreshed(at_ms) {
    this.#screen.refreshed(at_ms);
    this.#watched_ms = at_ms;
    this.#watching = at_ms < this.#awakeUntil_ms;
    if (this.#watching) this.#page.requestFrame((next_ms) => this.#refreshed(next_ms));
  }
}

/** How often movements come: a mouse a thousand times a second, a tracker sixty times, a key once. */
class Rhythm {
  /** @type {number[]} */ #gaps = [];
  #last_ms = -Infinity;

  /** @param {number} now @returns {number} when the next one is to be expected; never, if unknown */
  moved(now) {
    const gap = now - this.#last_ms;
    this.#last_ms = now;
    if (gap > PAUSE_MS) this.#gaps = [];
    else this.#gaps.push(gap);
    if (this.#gaps.length > RHYTHM) this.#gaps.shift();
    if (this.#gaps.length < RHYTHM) return Infinity;
    return now + LIKELY * rank([...this.#gaps].sort((a, b) => a - b), 0.5);
  }
}
