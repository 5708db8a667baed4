// The words in the middle of the page when there is no picture to look at. Given its elements.

import { describePlace } from "../connection/queue.js";
import { describeTrouble } from "../connection/trouble.js";

const PATIENCE_MS = 500; // a connection that is quicker than this needs no words

export class Notice {
  #element;
  #title;
  #detail;
  #countdown;
  #retry;
  #place;
  /** @type {ReturnType<typeof setTimeout> | 0} */ #timer = 0;

  /**
   * @param {HTMLElement} element with `[data-title]`, `[data-detail]`, `[data-countdown]` and a button
   * @param {{stream: string, host: string}} place
   * @param {() => void} onRetry
   */
  constructor(element, place, onRetry) {
    this.#element = element;
    this.#place = place;
    this.#title = element.querySelector("[data-title]");
    this.#detail = element.querySelector("[data-detail]");
    this.#countdown = element.querySelector("[data-countdown]");
    this.#retry = element.querySelector("button");
    this.#retry.addEventListener("click", onRetry);
  }

  /** @param {import("../connection/connection_manager.js").ViewerState} state @param {Error | null} trouble the last one, if not over */
  show(state, trouble) {
    clearTimeout(this.#timer);
    if (state.state === "live") return this.#hide();
    if (state.state === "waiting") return this.#showTrouble(state);
    if (state.state === "in-line") return this.#showPlace(state.turn);
    this.#countdown.textContent = trouble ? "Trying now…" : "";
    this.#retry.hidden = true;
    if (!trouble) this.#timer = setTimeout(() => this.#showConnecting(), PATIENCE_MS);
  }

  #showConnecting() {
    this.#write("Connecting", `Looking for “${this.#place.stream}” at ${this.#place.host}`);
  }

  /** @param {import("../connection/queue.js").Turn} turn */
  #showPlace({ place, waiting }) {
    this.#write(
      describePlace(place),
      "All places are taken just now. Keep this page open: it gets in by itself when its turn comes.",
    );
    this.#retry.hidden = true;
    this.#countdown.textContent = waiting > 1 ? `${waiting} are waiting` : "";
  }

  #showTrouble({ trouble, until_ms }) {
    const { title, detail } = describeTrouble(trouble, this.#place);
    this.#write(title, detail);
    this.#retry.hidden = until_ms === null;
    this.#count(until_ms);
  }

  /** Counts down by the second; screen readers are told the words once, not every number. */
  #count(until_ms) {
    if (until_ms === null) return void (this.#countdown.textContent = "");
    const left_s = Math.max(0, Math.ceil((until_ms - performance.now()) / 1000));
    this.#countdown.textContent = left_s > 1 ? `Trying again in ${left_s} seconds` : "Trying again";
    this.#timer = setTimeout(() => this.#count(until_ms), 250);
  }

  #write(title, detail) {
    if (this.#title.textContent !== title) this.#title.textContent = title;
    if (this.#detail.textContent !== detail) this.#detail.textContent = detail;
    this.#element.classList.add("shown");
    this.#element.inert = false;
  }

  #hide() {
    this.#element.classList.remove("shown");
    this.#element.inert = true;
    this.#title.textContent = this.#detail.textContent = this.#countdown.textContent = "";
  }
}
