// The panel of the head-tracked view: state of the tracking, and calibration.

import { CARD_WIDTH_M, DEFAULT_PIXEL_M } from "../input/head_window.js";
import { find } from "./dom.js";

const CAMERA_STATES = {
  opening: "Starting your camera…",
  following: "Following your eyes",
  "no face": "Looking for your face…",
  centered: "Centred",
};
const STATES = {
  camera: CAMERA_STATES,
  tilt: {
    ...CAMERA_STATES,
    opening: "Waiting for the sensors…",
    following: "Tilt your phone to look around",
  },
};
const CENTERED_SHOWN_MS = 1500;

/**
 * @typedef {keyof typeof STATES} EyeSource what measures where the viewer's eyes are
 * @typedef {keyof typeof CAMERA_STATES} HeadViewState
 *
 * @typedef {object} HeadViewActions
 * @property {() => void} center
 * @property {(pixel_m: number) => void} pixelChanged
 * @property {() => void} close
 */

export class HeadViewPanel {
  #element;
  #buttons;
  #now;
  /** @type {EyeSource} */ #source = "camera";
  #heldUntil_ms = 0;
  #said = "";

  /**
   * @param {HTMLElement} element
   * @param {Record<EyeSource, HTMLElement>} buttons open and close it
   * @param {() => number} now
   */
  constructor(element, buttons, now) {
    this.#element = element;
    this.#buttons = buttons;
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
   * @param {EyeSource} source
   * @param {number} pixel_m side of a CSS pixel
   */
  open(source, pixel_m) {
    this.#source = source;
    this.#element.classList.toggle("tilt", source === "tilt");
    this.#show(true);
    this.#size.value = String(Math.round(CARD_WIDTH_M / (pixel_m || DEFAULT_PIXEL_M)));
    this.#showCard();
    this.#heldUntil_ms = 0;
    this.showState("opening");
    this.#element.classList.remove("failed");
  }

  /** Close the panel. */
  close() {
    this.#show(false);
  }

  /**
   * Show the state of the tracking.
   *
   * @param {HeadViewState} state
   */
  showState(state) {
    if (state !== "centered" && this.#now() < this.#heldUntil_ms) return;
    if (state === "centered") this.#heldUntil_ms = this.#now() + CENTERED_SHOWN_MS;
    this.#element.classList.toggle("found", state === "following" || state === "centered");
    this.#write(STATES[this.#source][state], "");
  }

  /**
   * Show why it does not work.
   *
   * @param {import("./publish_texts.js").PublishText} text
   */
  fail({ title, detail, command }) {
    this.#pressed(false);
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
    this.#pressed(open);
  }

  /** @param {boolean} on */
  #pressed(on) {
    this.#buttons[this.#source].setAttribute("aria-pressed", String(on));
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
