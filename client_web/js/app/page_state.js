// The state of the page: connecting, live, queued, waiting to try again, and whether the server is
// draining. Shows it through the body's `data-state`, the notice and the sign-in form.

import { DRAINING_TEXT } from "../panels/texts.js";

/**
 * @typedef {import("../connection/connection_manager.js").ConnectionState} ConnectionState
 * @typedef {import("../connection/trouble.js").Trouble} Trouble
 *
 * @typedef {object} StateView
 * @property {HTMLElement} body
 * @property {HTMLElement} draining shows that the server shuts down
 * @property {Pick<import("../panels/notice.js").Notice, "show">} notice
 * @property {Pick<import("../panels/sign_in.js").SignIn, "show">} signIn
 *
 * @typedef {object} StateListeners
 * @property {() => void} onConnecting
 * @property {() => void} onLeavingLive called while the last frame is still displayed
 */

export class PageState {
  #view;
  #listeners;

  /** @type {ConnectionState["state"]} */ name = "connecting";

  /** The last trouble, until the page is live or queued again. @type {Trouble | null} */
  trouble = null;

  /** Whether the server of the live session is draining. */
  draining = false;

  /**
   * @param {StateView} view
   * @param {StateListeners} listeners
   */
  constructor(view, listeners) {
    this.#view = view;
    this.#listeners = listeners;
  }

  /** @returns {boolean} */
  get live() {
    return this.name === "live";
  }

  /**
   * Enter a state.
   *
   * @param {ConnectionState} next
   */
  enter(next) {
    if (this.live && next.state !== "live") this.#listeners.onLeavingLive();
    this.name = next.state;
    if (next.state === "waiting") this.trouble = next.trouble;
    if (next.state === "live" || next.state === "queued") this.trouble = null;
    if (next.state !== "live") this.#setDraining(false);
    if (next.state === "connecting") this.#listeners.onConnecting();
    this.#view.body.dataset.state = next.state;
    this.#view.notice.show(next, this.trouble);
    this.#view.signIn.show(this.trouble?.kind === "sign-in");
  }

  /** Must be called when the server reports that it is draining, which it repeats every second. */
  serverDrains() {
    this.#setDraining(true);
  }

  /** @param {boolean} draining */
  #setDraining(draining) {
    if (draining === this.draining) return; // screen readers announce every change of the text
    this.draining = draining;
    this.#view.draining.textContent = draining ? DRAINING_TEXT : "";
  }
}
