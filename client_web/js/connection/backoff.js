// Exponential backoff with jitter, so that the viewers of a restarted server do not all reconnect
// in the same instant.

const JITTER = 0.25; // share of the wait that is added at random, at most

export class Backoff {
  #first_s;
  #longest_s;
  #random;
  #failures = 0;

  /** @param {{first_s?: number, longest_s?: number, random?: () => number}} [options] */
  constructor({ first_s = 0.5, longest_s = 8, random = Math.random } = {}) {
    this.#first_s = first_s;
    this.#longest_s = longest_s;
    this.#random = random;
  }

  /**
   * Return the wait before the next attempt and count one failure.
   *
   * @returns {number} seconds
   */
  next() {
    const plain_s = Math.min(this.#first_s * 2 ** this.#failures, this.#longest_s);
    this.#failures += 1;
    return plain_s * (1 + JITTER * this.#random());
  }

  /** Start over after a success. */
  reset() {
    this.#failures = 0;
  }
}
