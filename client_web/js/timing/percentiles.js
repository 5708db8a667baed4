// Percentiles of recent samples, and the rate of a counter over a short window. No clock inside.

/** @typedef {{p50: number | null, p95: number | null, count: number}} Percentiles */

export class PercentileWindow {
  /** @type {{at_ms: number, value: number}[]} */ #samples = [];
  #size;
  #age_ms;

  /** @param {{size?: number, age_ms?: number}} [limits] how many samples are kept, and how long */
  constructor({ size = 400, age_ms = 20_000 } = {}) {
    this.#size = size;
    this.#age_ms = age_ms;
  }

  /**
   * Add a sample.
   *
   * @param {number} value
   * @param {number} at_ms
   */
  add(value, at_ms) {
    this.#samples.push({ at_ms, value });
    if (this.#samples.length > this.#size) this.#samples.shift();
  }

  /** Remove all samples. */
  clear() {
    this.#samples = [];
  }

  /**
   * Return nearest-rank percentiles of the samples that are recent enough.
   *
   * @param {number} now_ms
   * @returns {Percentiles}
   */
  summary(now_ms) {
    while (this.#samples.length && now_ms - this.#samples[0].at_ms > this.#age_ms) {
      this.#samples.shift();
    }
    const sorted = ascending(this.#samples.map((sample) => sample.value));
    return { p50: rank(sorted, 0.5), p95: rank(sorted, 0.95), count: sorted.length };
  }
}

/**
 * Return a sorted copy.
 *
 * @param {readonly number[]} values
 * @returns {number[]}
 */
export function ascending(values) {
  return [...values].sort((a, b) => a - b);
}

/**
 * Return the nearest-rank percentile: always a value that was measured.
 *
 * @param {readonly number[]} sorted ascending
 * @param {number} share 0..1
 * @returns {number | null} null if there are no values
 */
export function rank(sorted, share) {
  if (!sorted.length) return null;
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

export class RateWindow {
  /** @type {{at_ms: number, total: number}[]} */ #readings = [];
  #span_ms;

  /** @param {number} span_ms length of the window */
  constructor(span_ms = 2000) {
    this.#span_ms = span_ms;
  }

  /**
   * Add a reading of the counter.
   *
   * @param {number} total never falls within a session; a lower value starts over
   * @param {number} at_ms
   */
  add(total, at_ms) {
    const last = this.#readings.at(-1);
    if (last && total < last.total) this.#readings = [];
    this.#readings.push({ at_ms, total });
    while (at_ms - this.#readings[0].at_ms > this.#span_ms) this.#readings.shift();
  }

  /** Remove all readings. */
  clear() {
    this.#readings = [];
  }

  /**
   * Return the rate over the window.
   *
   * @param {number} now_ms
   * @returns {number} per second; 0 once there was no reading for the length of the window
   */
  rate(now_ms) {
    const first = this.#readings[0];
    const last = this.#readings.at(-1);
    if (!first || !last || first === last || now_ms - last.at_ms > this.#span_ms) return 0;
    // Up to now instead of up to the last reading: when no more frames arrive the rate must fall.
    const until_ms = Math.max(
      last.at_ms,
      now_ms - (last.at_ms - first.at_ms) / this.#readings.length,
    );
    return ((last.total - first.total) * 1000) / (until_ms - first.at_ms);
  }
}
