// The view from the viewer's eyes over time: predicts them to the time a frame will be displayed, and
// eases in and out when the face is found and lost.

import { MotionPredictor } from "../tracking/motion_predictor.js";

const HOLD_MS = 1000; // a face that is lost for a moment, as behind a hand, does not move the view
const EASE_MS = 600; // from the eyes to the avatar's own view and back

/** @typedef {import("../connection/messages.js").Vector} Vector */

export class EyeFollower {
  #window;
  #predictor = new MotionPredictor();
  /** @type {number | null} when a face was found last */ #found_ms = null;
  #strength = 0;
  #stepped_ms = 0;

  /** Time from the request of a view to the display of its frame, ms. */
  latency_ms = 0;

  /** @param {import("./head_window.js").HeadWindow} window */
  constructor(window) {
    this.#window = window;
  }

  /**
   * Take a measured position of the eyes.
   *
   * @param {Vector} eyes in the camera's space, metres
   * @param {number} captured_ms when the camera saw them, this page's clock
   */
  measured(eyes, captured_ms) {
    if (this.#found_ms === null) this.#stepped_ms = captured_ms;
    this.#found_ms = captured_ms;
    this.#predictor.measured(eyes, captured_ms);
  }

  /** Ease out at once: no more positions will be measured. */
  release() {
    if (this.#found_ms !== null) this.#found_ms = Number.NEGATIVE_INFINITY;
  }

  /**
   * Return the view from where the eyes will be when its frame is displayed.
   *
   * @param {number} at_ms now
   * @returns {import("../reprojection/screen_window.js").WindowView | null} null before the first
   *   measurement, and when the view has returned to the avatar's own
   */
  view(at_ms) {
    const eyes = this.#predictor.at(at_ms + this.latency_ms);
    if (!eyes || this.#found_ms === null) return null;
    const found = at_ms - this.#found_ms < HOLD_MS;
    this.#ease(at_ms, found ? 1 : 0);
    if (found || this.#strength > 0) return this.#window.view(eyes, smooth(this.#strength));
    this.#found_ms = null;
    return null;
  }

  /**
   * @param {number} at_ms
   * @param {0 | 1} target
   */
  #ease(at_ms, target) {
    const step = Math.max(at_ms - this.#stepped_ms, 0) / EASE_MS;
    this.#stepped_ms = at_ms;
    this.#strength = target
      ? Math.min(this.#strength + step, 1)
      : Math.max(this.#strength - step, 0);
  }
}

/** Starts and ends without a jerk. @param {number} share 0..1 */
function smooth(share) {
  return share * share * (3 - 2 * share);
}
