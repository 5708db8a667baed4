// A place in the waiting line of a full server: joins it, asks as often as the server says, and tells
// how far it is. The server's side is server/routes/queue.py.

import { access } from "./access.js";
import { Trouble } from "./trouble.js";
import { refusal } from "./whep.js";

/** @typedef {{ticket: string, place: number, waiting: number, ask_after_s: number}} Turn place 0: come in */

export class WaitingLine {
  #fetch;
  #sleep;
  /** @type {{ticket: string, address: URL, called: boolean} | null} */ #held = null;

  /** @param {{fetch?: typeof globalThis.fetch, sleep?: (ms: number, signal: AbortSignal) => Promise<void>}} [options] */
  constructor({ fetch = access.fetch, sleep = pause } = {}) {
    this.#fetch = fetch;
    this.#sleep = sleep;
  }

  /** @returns {string | null} what the server keeps a place for */
  get ticket() {
    return this.#held?.ticket ?? null;
  }

  /**
   * Waits until its turn comes; goes on with the ticket it has, and joins anew where that is lost.
   *
   * @param {URL} queue the stream's waiting line
   * @param {(turn: Turn) => void} onTurn called whenever the server has answered
   * @param {AbortSignal} signal gives up
   * @throws {Trouble} if the server cannot be reached or lets nobody wait
   */
  async wait(queue, onTurn, signal) {
    while (!signal.aborted) {
      const turn = (this.#held && (await this.#ask(signal))) ?? (await this.#join(queue, signal));
      onTurn(turn);
      const inVain = this.#held.called; // it was called before, and could not come in
      this.#held.called = turn.place === 0;
      if (!this.#held.called || inVain) await this.#sleep(turn.ask_after_s * 1000, signal);
      if (this.#held.called) return;
    }
  }

  /** Forgets the ticket: it was used. */
  forget() {
    this.#held = null;
  }

  /** Gives the place to those behind; may run while the page is being put away. */
  leave() {
    if (!this.#held) return;
    this.#fetch(this.#held.address, { method: "DELETE", keepalive: true }).catch(() => {});
    this.#held = null;
  }

  /** @returns {Promise<Turn>} */
  async #join(queue, signal) {
    const response = await this.#call(queue, { method: "POST", signal });
    if (response.status !== 201) throw await refusal(response, queue);
    const turn = await response.json();
    const address = new URL(response.headers.get("Location"), response.url || queue);
    this.#held = { ticket: turn.ticket, address, called: false };
    return turn;
  }

  /** @returns {Promise<Turn | null>} null if the place is lost */
  async #ask(signal) {
    const { address } = this.#held;
    const response = await this.#call(address, { signal });
    if (response.ok) return response.json();
    if (response.status !== 404) throw await refusal(response, address);
    this.#held = null;
    return null;
  }

  async #call(address, options) {
    try {
      return await this.#fetch(address, options);
    } catch (error) {
      throw new Trouble("unreachable", { detail: error.message });
    }
  }
}

/** @param {number} place 1 for the next @returns {string} such as "You are 3rd in line" */
export function describePlace(place) {
  if (place === 0) return "It is your turn";
  if (place === 1) return "You are next in line";
  return `You are ${place}${ENDINGS[ORDINAL.select(place)]} in line`;
}

const ORDINAL = new Intl.PluralRules("en", { type: "ordinal" });
const ENDINGS = { one: "st", two: "nd", few: "rd", other: "th" };

/** @param {number} ms @param {AbortSignal} signal ends it early */
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
