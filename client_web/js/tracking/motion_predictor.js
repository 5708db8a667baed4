// Predicts where a tracked point is at a later time: a Kalman filter with constant velocity per axis.
// A webcam and its tracker deliver a position some 60 ms after it was true, and the frame rendered for
// it appears later still; without prediction the view lags behind the head by all of that.

// A swaying head accelerates at about 1 m/s2. Less makes it late, more makes it jitter: at 1.5 the
// error at rest grows by 60 %, that of a sway of 8 cm shrinks by 12 %.
const ACCELERATION_M_S2 = 0.8;

// Measured with a face at rest: depth is estimated from the size of the face and is noisier.
const NOISE_M = [0.0012, 0.0012, 0.004];

/** Extrapolation beyond this overshoots when a movement ends. */
export const LONGEST_LEAD_MS = 120;

// Below this speed a movement cannot be told from noise, and is extrapolated less and less: a head at
// rest must not tremble.
const REST_SPEED_M_S = 0.04;

const LONGEST_GAP_MS = 300; // after a longer pause the filter starts over
const START_SPEED_M_S = 0.3; // standard deviation of the speed before anything is known of it

/** @typedef {import("../connection/messages.js").Vector} Vector */

export class MotionPredictor {
  /** @type {Axis[]} */ #axes = [];
  #at_ms = Number.NEGATIVE_INFINITY;

  /**
   * Take a measured position.
   *
   * @param {Vector} position metres
   * @param {number} at_ms when it was true; an older one than the last is ignored
   */
  measured(position, at_ms) {
    const gap_ms = at_ms - this.#at_ms;
    if (gap_ms <= 0) return;
    this.#at_ms = at_ms;
    if (gap_ms > LONGEST_GAP_MS) {
      this.#axes = position.map((value, i) => new Axis(value, NOISE_M[i] ** 2));
      return;
    }
    for (const [i, axis] of this.#axes.entries()) axis.update(position[i], gap_ms / 1000);
  }

  /**
   * Return the position at a time.
   *
   * @param {number} at_ms
   * @returns {Vector | null} null before the first measurement
   */
  at(at_ms) {
    if (this.#axes.length === 0) return null;
    const lead_s = Math.min(Math.max(at_ms - this.#at_ms, 0), LONGEST_LEAD_MS) / 1000;
    const speed = Math.hypot(...this.#axes.map((axis) => axis.speed));
    const trusted_s = (lead_s * speed ** 2) / (speed ** 2 + REST_SPEED_M_S ** 2);
    return /** @type {Vector} */ (this.#axes.map((axis) => axis.value + axis.speed * trusted_s));
  }
}

class Axis {
  #noise;
  // Covariance of value and speed: variance, covariance, variance.
  #p;

  speed = 0;

  /**
   * @param {number} value
   * @param {number} noise variance of a measurement
   */
  constructor(value, noise) {
    this.value = value;
    this.#noise = noise;
    this.#p = [noise, 0, START_SPEED_M_S ** 2];
  }

  /**
   * @param {number} measured
   * @param {number} dt_s since the last one
   */
  update(measured, dt_s) {
    const [a, b, c] = this.#p;
    const q = ACCELERATION_M_S2 ** 2; // white acceleration, constant within a step
    const predicted = [
      a + 2 * dt_s * b + dt_s ** 2 * c + (q * dt_s ** 4) / 4,
      b + dt_s * c + (q * dt_s ** 3) / 2,
      c + q * dt_s ** 2,
    ];
    const residual = measured - (this.value + this.speed * dt_s);
    const [valueGain, speedGain] = [predicted[0], predicted[1]].map(
      (part) => part / (predicted[0] + this.#noise),
    );
    this.value += this.speed * dt_s + valueGain * residual;
    this.speed += speedGain * residual;
    this.#p = [
      (1 - valueGain) * predicted[0],
      (1 - valueGain) * predicted[1],
      predicted[2] - speedGain * predicted[1],
    ];
  }
}
