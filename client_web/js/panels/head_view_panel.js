// The panel of the head-tracked view: what it sees, and its calibration.

import { CARD_WIDTH_M, DEFAULT_PIXEL_M } from "../input/head_window.js";
import { find } from "./dom.js";

const STATES = {
  opening: "Starting your camera…",
  following: "Following your eyes",
  "no face": "Looking for your face…",
  centered: "Centred",
};
const CENTERED_SHOWN_MS = 1500;

/**
 * @typedef {keyof typeof STATES} HeadViewState
 *
 * @typedef {object} HeadViewActions
 * @property {() => void} center
 * @property {(pixel_m: number) => void} pixelChanged
 * @property {() => void} close
 */

export class HeadViewPanel {
  #element;
  #button;
  #now;
  #heldUntil_ms = 0;
  #said = "";

  /**
   * @param {HTMLElement} element
   * @param {HTMLElement} button opens and closes it
   * @param {() => number} now
   */
  constructor(element, button, now) {
    this.#element = element;
    this.#button = button;
    this.#now = now;
  }

  /** @param {HeadViewActions} actions */
  connect({ center, pixelChanged, close }) {
    find(this.#element, "[data-center]").addEventListener("click", center);
    find(this.#element, "[data-close]").addEventListener("click", close);
    this.#size.addEventListener("input", () => {
      this.#showCard();
      pixelChanged(CARD_WIDTH_M / this.#size.valueAsNumber);
    });
  }

  /**
   * Open the panel.
   *
   * @param {number} pixel_m side of a CSS pixel
   */
  open(pixel_m) {
    this.#show(true);
    this.#size.value = String(Math.round(CARD_WIDTH_M / (pixel_m || DEFAULT_PIXEL_M)));
    this.#showCard();
    this.#heldUntil_ms = 0;
    this.say("opening");
    this.#element.classList.remove("failed");
  }

  /** Close the panel. */
  close() {
    this.#show(false);
  }

  /**
   * Show what the camera sees.
   *
   * @param {HeadViewState} state
   */
  say(state) {
    if (state !== "centered" && this.#now() < this.#heldUntil_ms) return;
    if (state === "centered") this.#heldUntil_ms = this.#now() + CENTERED_SHOWN_MS;
    this.#element.classList.toggle("found", state === "following" || state === "centered");
    this.#write(STATES[state], "");
  }

  /**
   * Show why it does not work.
   *
   * @param {import("./publish_texts.js").PublishText} text
   */
  fail({ title, detail, command }) {
    this.#button.setAttribute("aria-pressed", "false");
    this.#element.classList.add("failed");
    this.#element.classList.remove("found");
    this.#write(title, command ? `${detail} ${command}` : detail);
  }

  /** @returns {HTMLInputElement} */
  get #size() {
    return find(this.#element, "input[type=range]");
  }

  #showCard() {
    find(this.#element, "[data-card]").style.width = `${this.#size.value}px`;
  }

  /** @param {boolean} open */
  #show(open) {
    this.#element.hidden = !open;
    this.#button.setAttribute("aria-pressed", String(open));
  }

  /**
   * @param {string} state
   * @param {string} detail
   */
  #write(state, detail) {
    if (this.#said === state + detail) return; // many times per second
    this.#said = state + detail;
    find(this.#element, "[data-state]").textContent = state;
    find(this.#element, "[data-detail]").textContent = detail;
  }
}
