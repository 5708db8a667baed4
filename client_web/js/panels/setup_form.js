// The form that is filled in before one goes live, joins a call or is recorded.

import { find } from "./dom.js";

export class SetupForm {
  #form;

  /**
   * @param {HTMLElement} element contains the form `[data-setup]`
   * @param {() => void} onSubmit
   */
  constructor(element, onSubmit) {
    /** @type {HTMLFormElement} */
    this.#form = find(element, "[data-setup]");
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSubmit();
    });
  }

  /**
   * @param {string} name of a field
   * @returns {string} what was entered or chosen; "" if nothing was
   */
  text(name) {
    return String(new FormData(this.#form).get(name) ?? "").trim();
  }

  /** @param {string} name @returns {HTMLInputElement} */
  input(name) {
    return find(this.#form, `input[name="${name}"]`);
  }

  /** Ask for a token. */
  askForToken() {
    find(this.#form, "[data-token]").hidden = false;
    this.input("token").focus();
  }

  /** @param {boolean} hidden */
  set hidden(hidden) {
    this.#form.hidden = hidden;
  }
}
