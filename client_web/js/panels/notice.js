// The message in the middle of the page while there is no video.

import { find } from "./dom.js";
import { describeQueuePosition, describeTrouble } from "./texts.js";

const CONNECTING_DELAY_MS = 500; // a faster connection needs no message
const COUNTDOWN_EVERY_MS = 250;

/**
 * @typedef {import("../connection/trouble.js").Trouble} Trouble
 * @typedef {import("../connection/connection_manager.js").ConnectionState} ConnectionState
 */

export class Notice {
  #element;
  #title;
  #detail;
  #countdown;
  #retry;
  #source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /**
   * @param {HTMLElement} element contains `[data-title]`, `[data-detail]`, `[data-countdown]`, a button
   * @param {import("./texts.js").Source} source
   * @param {() => void} onRetry
   */
  constructor(element, source, onRetry) {
    this.#element = element;
    this.#source = source;
    this.#title = find(element, "[data-title]");
    this.#detail = find(element, "[data-detail]");
    this.#countdown = find(element, "[data-countdown]");
    this.#retry = find(element, "button");
    this.#retry.addEventListener("click", onRetry);
  }

  /**
   * Show the message for a state.
   *
   * @param {ConnectionState} state
   * @param {Trouble | null} trouble the last one, unless it is over
   */
  show(state, trouble) {
    clearTimeout(this.#timer);
    if (state.state === "live") this.#hide();
    else if (state.state === "waiting") this.#showTrouble(state.trouble, state.until_ms);
    else if (state.state === "queued") this.#showQueue(state.queue);
    else this.#showConnecting(trouble);
  }

  /** @param {Trouble | null} trouble stays visible while the page tries again */
  #showConnecting(trouble) {
    this.#countdown.textContent = trouble ? "Trying again now…" : "";
    this.#retry.hidden = true;
    if (trouble) return;
    const { stream, host } = this.#source;
    this.#timer = setTimeout(
      () => this.#write({ title: "Connecting", detail: `Opening “${stream}” at ${host}` }),
      CONNECTING_DELAY_MS,
    );
  }

  /** @param {import("../connection/queue.js").QueueStatus} queue */
  #showQueue({ place, waiting }) {
    this.#write(describeQueuePosition(place));
    this.#retry.hidden = true;
    this.#countdown.textContent = waiting > 1 ? `${waiting} viewers are waiting` : "";
  }

  /**
   * @param {Trouble} trouble
   * @param {number | null} until_ms
   */
  #showTrouble(trouble, until_ms) {
    this.#write(describeTrouble(trouble, this.#source));
    this.#retry.hidden = until_ms === null;
    if (until_ms === null) this.#countdown.textContent = "";
    else this.#count(until_ms);
  }

  /**
   * Count down the seconds. Screen readers announce the message, but not every number.
   *
   * @param {number} until_ms
   */
  #count(until_ms) {
    const left_s = Math.max(0, Math.ceil((until_ms - performance.now()) / 1000));
    this.#countdown.textContent = left_s > 1 ? `Trying again in ${left_s} seconds` : "Trying again";
    this.#timer = setTimeout(() => this.#count(until_ms), COUNTDOWN_EVERY_MS);
  }

  /** @param {import("./texts.js").Text} text */
  #write({ title, detail }) {
    if (this.#title.textContent !== title) this.#title.textContent = title;
    if (this.#detail.textContent !== detail) this.#detail.textContent = detail;
    this.#element.classList.add("shown");
    this.#element.inert = false;
  }

  #hide() {
    this.#element.classList.remove("shown");
    this.#element.inert = true;
    this.#title.textContent = "";
    this.#detail.textContent = "";
    this.#countdown.textContent = "";
  }
}
