// Keeps the voice with the lips: measures how long each takes from its capture until it is seen or
// heard, and computes how long the browser must delay the voice. The video is never held back: a
// voice that is a little late disturbs less than an early one (ITU-R BT.1359), and much less than a
// late face.

import { ascending, PercentileWindow, rank } from "../timing/percentiles.js";

const FACE_AGE_MS = 3000;
const OFFSET_AGE_MS = 10_000;
const DECIDE_EVERY_MS = 2000; // the browser takes about a second to stretch the sound
const DECIDE_OVER_MS = 1500;
const TOLERANCE_MS = 6; // each change stretches the sound: smaller ones are not worth it
const LONGEST_HOLD_MS = 500;
const MIN_FACES = 4; // a busy machine tracks a few per second
const MIN_SAMPLES = 5;

/**
 * @typedef {object} VoiceOffset
 * @property {number | null} p50 how much later than the lips the voice is heard; negative: earlier
 * @property {number | null} p95 of its absolute value
 * @property {number} count
 */

export class LipSync {
  /** @type {{at_ms: number, path_ms: number}[]} */ #faces = [];
  #offsets = new PercentileWindow({ age_ms: OFFSET_AGE_MS });
  #deviations = new PercentileWindow({ age_ms: OFFSET_AGE_MS });
  /** @type {PercentileWindow} since the last decision */ #undecided = undecided();
  #decidedAt_ms = -Infinity;

  /**
   * Record that a face is shown for the first time.
   *
   * @param {number} path_ms since its capture, by any clock that both share
   * @param {number} now_ms
   */
  faceShown(path_ms, now_ms) {
    this.#faces.push({ at_ms: now_ms, path_ms });
    while (now_ms - this.#faces[0].at_ms > FACE_AGE_MS) this.#faces.shift();
  }

  /**
   * Record what is heard at present.
   *
   * @param {number} path_ms since its capture, by the same clock
   * @param {number} now_ms
   */
  voicePlayed(path_ms, now_ms) {
    const recent = this.#faces.filter(({ at_ms }) => now_ms - at_ms <= FACE_AGE_MS);
    if (recent.length < MIN_FACES) return; // no face was seen
    const face_ms = rank(ascending(recent.map((face) => face.path_ms)), 0.5) ?? 0;
    const offset_ms = path_ms - face_ms;
    this.#offsets.add(offset_ms, now_ms);
    this.#deviations.add(Math.abs(offset_ms), now_ms);
    this.#undecided.add(offset_ms, now_ms);
  }

  /**
   * Decide how long the voice is to be held back from now on.
   *
   * @param {number} held_ms how long the browser holds it back at present
   * @param {number} now_ms
   * @returns {number | null} null to leave it as it is
   */
  hold(held_ms, now_ms) {
    if (now_ms - this.#decidedAt_ms < DECIDE_EVERY_MS) return null;
    const { p50, count } = this.#undecided.summary(now_ms);
    if (p50 === null || count < MIN_SAMPLES) return null;
    this.#decidedAt_ms = now_ms;
    this.#undecided = undecided();
    if (Math.abs(p50) < TOLERANCE_MS) return null;
    return Math.round(Math.min(LONGEST_HOLD_MS, Math.max(0, held_ms - p50)));
  }

  /**
   * @param {number} now_ms
   * @returns {VoiceOffset}
   */
  offset(now_ms) {
    const { p50, count } = this.#offsets.summary(now_ms);
    return { p50, p95: this.#deviations.summary(now_ms).p95, count };
  }

  /** Start over for a new session. */
  clear() {
    this.#faces = [];
    this.#offsets.clear();
    this.#deviations.clear();
    this.#undecided.clear();
    this.#decidedAt_ms = -Infinity;
  }
}

function undecided() {
  return new PercentileWindow({ age_ms: DECIDE_OVER_MS });
}
