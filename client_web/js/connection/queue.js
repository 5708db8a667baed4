// The queue of a full server: joins it, requests the position as often as the server prescribes, and
// returns once it is this viewer's turn.

import { access } from "./access.js";
import { refusal } from "./refusal.js";
import { messageOf, Trouble } from "./trouble.js";

/**
 * @typedef {object} QueueStatus the server's answer
 * @property {string} ticket
 * @property {number} place position in the queue, 1 for the next; 0: it is this viewer's turn
 * @property {number} waiting number of queued viewers
 * @property {number} ask_after_s when to request the status again
 *
 * @typedef {{ticket: string, address: URL, called: boolean}} Held `called`: its turn has come
 */

export class Queue {
  #fetch;
  #sleep;
  /** @type {Held | null} */ #held = null;

  /**
   * @param {object} [options]
   * @param {typeof globalThis.fetch} [options.fetch]
   * @param {(ms: number, signal: AbortSignal) => Promise<void>} [options.sleep]
   */
  constructor({ fetch = access.fetch, sleep = pause } = {}) {
    this.#fetch = fetch;
    this.#sleep = sleep;
  }

  /** @returns {string | null} the ticket that holds the position */
  get ticket() {
    return this.#held?.ticket ?? null;
  }

  /**
   * Wait for this viewer's turn. Keeps the ticket between calls; joins again if it has expired.
   *
   * @param {URL} queue the queue's address
   * @param {(status: QueueStatus) => void} onStatus called after every answer
   * @param {AbortSignal} signal gives up
   * @throws {Trouble} if the server cannot be reached or refuses
   */
  async wait(queue, onStatus, signal) {
    while (!signal.aborted) {
      const { held, status } =
        (this.#held && (await this.#requestStatus(this.#held, signal))) ??
        (await this.#join(queue, signal));
      onStatus(status);
      const calledBefore = held.called; // and the session was refused all the same
      held.called = status.place === 0;
      if (!held.called || calledBefore) await this.#sleep(status.ask_after_s * 1000, signal);
      if (held.called) return;
    }
  }

  /** Forget the ticket once it is used. */
  forget() {
    this.#held = null;
  }

  /** Leave the queue. May be called while the page is closing. */
  leave() {
    if (!this.#held) return;
    this.#fetch(this.#held.address, { method: "DELETE", keepalive: true }).catch(() => {});
    this.#held = null;
  }

  /**
   * @param {URL} queue
   * @param {AbortSignal} signal
   * @returns {Promise<{held: Held, status: QueueStatus}>}
   */
  async #join(queue, signal) {
    const response = await this.#request(queue, { method: "POST", signal });
    if (response.status !== 201) throw await refusal(response, queue);
    const status = await response.json();
    const address = new URL(response.headers.get("Location") ?? "", response.url || queue);
    this.#held = { ticket: status.ticket, address, called: false };
    return { held: this.#held, status };
  }

  /**
   * @param {Held} held
   * @param {AbortSignal} signal
   * @returns {Promise<{held: Held, status: QueueStatus} | null>} null if the ticket has expired
   */
  async #requestStatus(held, signal) {
    const response = await this.#request(held.address, { signal });
    if (response.ok) return { held, status: await response.json() };
    if (response.status !== 404) throw await refusal(response, held.address);
    this.#held = null;
    return null;
  }

  /**
   * @param {URL} address
   * @param {RequestInit} options
   */
  async #request(address, options) {
    try {
      return await this.#fetch(address, options);
    } catch (error) {
      throw new Trouble("unreachable", { detail: messageOf(error) });
    }
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal ends the pause early
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
