// The 1-euro filter: a low-pass filter whose cutoff frequency rises with the speed of the signal, so
// that a face at rest is calm and a fast movement is not late. Casiez, Roussel and Vogel, "1 € Filter:
// A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems", CHI 2012.

const LONGEST_STEP_S = 0.25; // after a longer pause the signal starts over

/**
 * @typedef {object} Smoothing
 * @property {number} minCutoff_hz cutoff at rest: lower is calmer
 * @property {number} beta rise of the cutoff, hertz per unit of the signal and second: higher is quicker
 * @property {number} [speedCutoff_hz] cutoff of the speed itself
 */

export class OneEuroFilter {
  #minCutoff_hz;
  #beta;
  #speedCutoff_hz;
  /** @type {{value: number, speed: number, at_s: number} | null} */ #last = null;

  /** @param {Smoothing} smoothing */
  constructor({ minCutoff_hz, beta, speedCutoff_hz = 1 }) {
    this.#minCutoff_hz = minCutoff_hz;
    this.#beta = beta;
    this.#speedCutoff_hz = speedCutoff_hz;
  }

  /**
   * Return the filtered value.
   *
   * @param {number} value
   * @param {number} at_s when it was measured
   * @returns {number}
   */
  filter(value, at_s) {
    const last = this.#last;
    const dt_s = last ? at_s - last.at_s : 0;
    if (!last || dt_s > LONGEST_STEP_S) {
      this.#last = { value, speed: 0, at_s };
      return value;
    }
    if (dt_s <= 0) return last.value;
    const measured = (value - last.value) / dt_s;
    const speed = mix(last.speed, measured, share(this.#speedCutoff_hz, dt_s));
    const cutoff_hz = this.#minCutoff_hz + this.#beta * Math.abs(speed);
    const filtered = mix(last.value, value, share(cutoff_hz, dt_s));
    this.#last = { value: filtered, speed, at_s };
    return filtered;
  }
}

/**
 * Return the share of the new value in a first-order low-pass filter.
 *
 * @param {number} cutoff_hz
 * @param {number} dt_s
 */
function share(cutoff_hz, dt_s) {
  return 1 / (1 + 1 / (2 * Math.PI * cutoff_hz * dt_s));
}

/**
 * @param {number} a
 * @param {number} b
 * @param {number} portion of `b`
 */
function mix(a, b, portion) {
  return a + portion * (b - a);
}
