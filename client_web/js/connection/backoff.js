// How long to wait before trying again. Waits grow, and are shaken a little, so that a server that
// comes back is not met by all its viewers in the same instant.

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

  /** @returns {number} seconds, up to 25 % more than the plain doubling */
  next() {
    const plain_s = Math.min(this.#first_s * 2 ** this.#failures, this.#longest_s);
    this.#failures += 1;
    return plain_s * (1 + 0.25 * this.#random());
  }

  get failures() {
    return this.#failures;
  }

  reset() {
    this.#failures = 0;
  }
}
