// Buttons, switches and keys of the page.

import { find } from "../panels/dom.js";
import { NO_WEBGL_TEXT } from "../panels/texts.js";

/**
 * @typedef {object} Actions
 * @property {() => void} resetView
 * @property {() => void} followEyes switches the head-tracked view on or off
 * @property {() => void} followTilt switches the view that follows the tilt of a phone on or off
 * @property {() => void} release
 * @property {() => void} mute switches the sound, or one's own microphone on a page that publishes
 * @property {() => void} saveFrames
 * @property {() => void} showStatistics called when the panel of stages is opened or closed
 * @property {Pick<import("../reprojection/late_reprojection.js").LateReprojection,
 *   "start" | "stop">} late
 */

export class Toolbar {
  #page;
  #actions;

  /**
   * @param {Document} page
   * @param {AbortSignal} signal
   * @param {Actions} actions
   */
  constructor(page, signal, actions) {
    this.#page = page;
    this.#actions = actions;
    /**
     * @param {string} selector
     * @param {() => void} listener
     */
    const onClick = (selector, listener) => {
      for (const element of page.querySelectorAll(selector)) {
        element.addEventListener("click", listener, { signal });
      }
    };
    onClick("#controls-button", () => this.#toggleControls());
    onClick("#controls-close", () => this.#toggleControls(false));
    onClick("#hud-button", () => this.#toggleHud());
    onClick("#details-button", () => this.#toggleDetails());
    onClick("#export-button", actions.saveFrames);
    onClick("#reset-button", actions.resetView);
    onClick("#head-button", actions.followEyes);
    onClick("#tilt-button", actions.followTilt);
    onClick("#fullscreen-button", () => this.#toggleFullscreen());
    onClick("[data-release]", actions.release);
    this.#lateSwitch.addEventListener("change", () => this.#switchLate(), { signal });
  }

  /** @returns {Record<string, () => void>} actions by key, for `Keyboard` */
  get keys() {
    return {
      r: this.#actions.resetView,
      h: () => this.#toggleHud(),
      c: () => this.#toggleControls(),
      f: () => this.#toggleFullscreen(),
      e: this.#actions.followEyes,
      m: this.#actions.mute,
      l: () => find(this.#page, "#publish-link").click(),
      escape: () => this.#toggleControls(false),
    };
  }

  /** Show that late reprojection has ended by itself. */
  lateReprojectionLost() {
    this.#lateSwitch.checked = false;
  }

  /** @returns {HTMLInputElement} */
  get #lateSwitch() {
    return find(this.#page, "#late-switch");
  }

  /** @param {boolean} [open] the other state if missing */
  #toggleControls(open) {
    this.#togglePanel("controls", open);
  }

  #toggleHud() {
    this.#togglePanel("hud");
  }

  /**
   * @param {string} id of the panel; its button has `-button` added
   * @param {boolean} [open]
   */
  #togglePanel(id, open) {
    const button = find(this.#page, `#${id}-button`);
    const shown = open ?? button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(shown));
    find(this.#page, `#${id}`).inert = !shown;
    this.#page.body.classList.toggle(`${id}-open`, shown);
  }

  #toggleDetails() {
    const button = find(this.#page, "#details-button");
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    find(this.#page, "#details").hidden = !open;
    this.#actions.showStatistics();
  }

  #toggleFullscreen() {
    if (this.#page.fullscreenElement) this.#page.exitFullscreen();
    // An embedding page may forbid it.
    else this.#page.documentElement.requestFullscreen?.().catch(() => {});
  }

  #switchLate() {
    const { late } = this.#actions;
    const input = this.#lateSwitch;
    if (!input.checked) {
      late.stop();
      return;
    }
    if (late.start()) return;
    input.checked = false;
    input.disabled = true;
    if (input.nextElementSibling) input.nextElementSibling.textContent = NO_WEBGL_TEXT;
  }
}
