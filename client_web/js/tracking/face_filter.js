// Smooths a face: a filter for each coefficient and for each part of the head's pose.

import { unit } from "./head_pose.js";
import { OneEuroFilter } from "./one_euro.js";

/**
 * @typedef {import("../connection/messages.js").HeadPose} HeadPose
 * @typedef {object} FacePose
 * @property {Record<string, number>} expression 0..1 by ARKit name
 * @property {HeadPose} head
 *
 * @typedef {import("./one_euro.js").Smoothing} Smoothing
 */

/** Lids close within three frames and eyes jump within one: hardly filtered when they move. */
const QUICK = Object.freeze({ minCutoff_hz: 2.5, beta: 12, speedCutoff_hz: 12 });
/** Lips are fast too, but their noise is more visible. */
const MOUTH = Object.freeze({ minCutoff_hz: 2.5, beta: 6, speedCutoff_hz: 6 });
const OTHER = Object.freeze({ minCutoff_hz: 1.5, beta: 3, speedCutoff_hz: 3 });
/** Per half radian and second: the parts of a quaternion. */
const ROTATION = Object.freeze({ minCutoff_hz: 1.5, beta: 30, speedCutoff_hz: 3 });
/** Per metre and second. The distance to the camera is the noisiest of all. */
const TRANSLATION = Object.freeze({ minCutoff_hz: 1, beta: 60, speedCutoff_hz: 3 });

/**
 * Return how a coefficient is smoothed.
 *
 * @param {string} name
 * @returns {Smoothing}
 */
export function smoothingOf(name) {
  if (/^eye(Blink|Look|Wide)/.test(name)) return QUICK;
  return /^(jaw|mouth|tongue)/.test(name) ? MOUTH : OTHER;
}

export class FaceFilter {
  /** @type {Map<string, OneEuroFilter>} */ #coefficients = new Map();
  #rotation = filters(4, ROTATION);
  #translation = filters(3, TRANSLATION);
  /** @type {readonly number[] | null} */ #lastRotation = null;

  /**
   * Return the smoothed face.
   *
   * @param {FacePose} pose
   * @param {number} at_s when the camera saw it
   * @returns {FacePose}
   */
  filter({ expression, head }, at_s) {
    const entries = Object.entries(expression).map(([name, value]) => [
      name,
      this.#filterOf(name).filter(value, at_s),
    ]);
    return { expression: Object.fromEntries(entries), head: this.#filterHead(head, at_s) };
  }

  /** Start over, so that a face that is found again does not glide from where it was lost. */
  restart() {
    this.#coefficients.clear();
    this.#rotation = filters(4, ROTATION);
    this.#translation = filters(3, TRANSLATION);
    this.#lastRotation = null;
  }

  /**
   * @param {HeadPose} head
   * @param {number} at_s
   * @returns {HeadPose}
   */
  #filterHead({ rotation, translation }, at_s) {
    const last = this.#lastRotation ?? rotation;
    // A quaternion and its negative are the same rotation: stay on one side.
    const sign = rotation.reduce((sum, part, i) => sum + part * last[i], 0) < 0 ? -1 : 1;
    const smooth = unit(this.#rotation.map((f, i) => f.filter(sign * rotation[i], at_s)));
    this.#lastRotation = smooth;
    const [x, y, z] = this.#translation.map((f, i) => f.filter(translation[i], at_s));
    return { rotation: smooth, translation: [x, y, z] };
  }

  /** @param {string} name */
  #filterOf(name) {
    const filter = this.#coefficients.get(name) ?? new OneEuroFilter(smoothingOf(name));
    this.#coefficients.set(name, filter);
    return filter;
  }
}

/**
 * @param {number} count
 * @param {Smoothing} smoothing
 */
function filters(count, smoothing) {
  return Array.from({ length: count }, () => new OneEuroFilter(smoothing));
}
