// Percentiles of what was measured lately, and a rate counted over a short window. No clock inside.

export class PercentileWindow {
  /** @type {{at_ms: number, value: number}[]} */ #samples = [];
  #size;
  #age_ms;

  /** @param {{size?: number, age_ms?: number}} [limits] how many samples are kept, and how long */
  constructor({ size = 400, age_ms = 20_000 } = {}) {
    this.#size = size;
    this.#age_ms = age_ms;
  }

  /** @param {number} value @param {number} at_ms */
  add(value, at_ms) {
    this.#samples.push({ at_ms, value });
    if (this.#samples.length > this.#size) this.#samples.shift();
  }

  clear() {
    this.#samples = [];
  }

  /**
   * @param {number} now_ms
   * @returns {{p50: number | null, p95: number | null, count: number}} nearest-rank percentiles
   */
  summary(now_ms) {
    while (this.#samples.length && now_ms - this.#samples[0].at_ms > this.#age_ms) {
      this.#samples.shift();
    }
    const sorted = this.#samples.map((sample) => sample.value).sort((a, b) => a - b);
    return { p50: rank(sorted, 0.5), p95: rank(sorted, 0.95), count: sorted.length };
  }
}

/**
 * @param {readonly number[]} sorted ascending @param {number} share 0..1
 * @returns {number | null} the nearest-rank percentile, a value that was measured
 */
export function rank(sorted, share) {
  if (!sorted.length) return null;
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

export class RateWindow {
  /** @type {{at_ms: number, total: number}[]} */ #readings = [];
  #span_ms;

  /** @param {number} span_ms how far back the rate looks */
  constructor(span_ms = 2000) {
    this.#span_ms = span_ms;
  }

  /** @param {number} total a counter that only rises; a fall starts the count anew @param {number} at_ms */
  add(total, at_ms) {
    const last = this.#readings.at(-1);
    if (last && total < last.total) this.#readings = [];
    this.#readings.push({ at_ms, total });
    while (at_ms - this.#readings[0].at_ms > this.#span_ms) this.#readings.shift();
  }

  clear() {
    this.#readings = [];
  }

  /**
   * @param {number} now_ms
   * @returns {number} per second; falls to 0 when nothing has come for the length of the window
   */
  rate(now_ms) {
    const first = this.#readings[0];
    const last = this.#readings.at(-1);
    if (!first || first === last || now_ms - last.at_ms > this.#span_ms) return 0;
    // Up to now, not up to the last reading: a picture that stands still must not keep its rate.
    const until_ms = Math.max(
      last.at_ms,
      now_ms - (last.at_ms - first.at_ms) / this.#readings.length,
    );
    return ((last.total - first.total) * 1000) / (until_ms - first.at_ms);
  }
}
