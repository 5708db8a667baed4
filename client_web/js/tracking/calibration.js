// What counts as the person's neutral face: its coefficients, and the pose of its head. Before it is
// measured, the head rests where it is seen first, and the coefficients are taken as they are.

import { OPPOSITES } from "./arkit.js";
import { averagePose, cameraPose } from "./head_pose.js";

const FRAMES = 12; // 0.4 s at 30 per second
const NOISE = 0.01; // a face at rest is not quite at 0: less than this is rest
/** Value of the tracker for a closed eye, as measured with the shipped avatars (0.62 to 0.66). */
const CLOSED = 0.64;
const MOST_NEUTRAL = 0.7; // a coefficient whose neutral value is higher would hardly be left any range

/**
 * @typedef {import("./detection.js").Face} Face
 * @typedef {import("./head_pose.js").CameraPose} CameraPose
 * @typedef {Pick<Face, "coefficients" | "matrix">} Measured
 */

export class Calibration {
  /** @type {CameraPose | null} */ #rest = null;
  /** @type {Record<string, number>} */ #neutral = {};
  /** @type {Measured[]} */ #collected = [];
  #measuring = false;

  /** @returns {boolean} whether it is being measured */
  get measuring() {
    return this.#measuring;
  }

  /** @returns {boolean} whether a neutral face has been measured */
  get measured() {
    return Object.keys(this.#neutral).length > 0;
  }

  /** Measure the neutral face from the next frames. */
  begin() {
    this.#collected = [];
    this.#measuring = true;
  }

  /** Forget the neutral face: the head rests where it is seen next. */
  clear() {
    this.#rest = null;
    this.#neutral = {};
    this.#measuring = false;
  }

  /**
   * Take a face into account.
   *
   * @param {Measured} face
   */
  add(face) {
    this.#rest ??= { ...cameraPose(face.matrix), rotation: [0, 0, 0, 1] };
    if (!this.#measuring) return;
    this.#collected.push(face);
    if (this.#collected.length >= FRAMES) this.#finish();
  }

  /** @returns {CameraPose} pose of the head at rest */
  get rest() {
    if (!this.#rest) throw new Error("expected a face to have been seen, got none");
    return this.#rest;
  }

  /**
   * Return coefficients relative to the neutral face.
   *
   * @param {Record<string, number>} coefficients
   * @returns {Record<string, number>} 0..1
   */
  relative(coefficients) {
    const relative = Object.fromEntries(
      Object.entries(coefficients).map(([name, value]) => [name, this.#above(name, value)]),
    );
    for (const [one, other] of OPPOSITES) {
      const at = (coefficients[one] ?? 0) - (coefficients[other] ?? 0);
      const rest = (this.#neutral[one] ?? 0) - (this.#neutral[other] ?? 0);
      relative[one] = aboveNoise(at - rest);
      relative[other] = aboveNoise(rest - at);
    }
    return relative;
  }

  /**
   * @param {string} name
   * @param {number} value
   */
  #above(name, value) {
    const full = name.startsWith("eyeBlink") ? CLOSED : 1;
    const neutral = Math.min(this.#neutral[name] ?? 0, MOST_NEUTRAL * full);
    return aboveNoise((value - neutral) / (full - neutral));
  }

  #finish() {
    const faces = this.#collected;
    this.#rest = averagePose(faces.map((face) => cameraPose(face.matrix)));
    const names = Object.keys(faces[0].coefficients);
    /** @param {string} name */
    const mean = (name) =>
      faces.reduce((sum, face) => sum + face.coefficients[name], 0) / faces.length;
    this.#neutral = Object.fromEntries(names.map((name) => [name, mean(name)]));
    this.#collected = [];
    this.#measuring = false;
  }
}

/**
 * Return a value without its noise, continuously.
 *
 * @param {number} value
 * @returns {number} 0..1
 */
function aboveNoise(value) {
  return Math.min(1, Math.max(0, (value - NOISE) / (1 - NOISE)));
}
