// The form that asks for a token.

import { find } from "./dom.js";

export class SignIn {
  #form;
  #field;

  /**
   * @param {HTMLFormElement} form with one field
   * @param {(token: string) => void} onToken
   */
  constructor(form, onToken) {
    this.#form = form;
    /** @type {HTMLInputElement} */
    this.#field = find(form, "input");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onToken(this.#field.value);
      this.#field.value = "";
    });
    // The page's own keys (R, H, C, F) are letters of the token here.
    form.addEventListener("keydown", (event) => event.stopPropagation());
  }

  /**
   * Show or hide the form. It takes the focus when it appears.
   *
   * @param {boolean} visible
   */
  show(visible) {
    const appears = visible && this.#form.hidden;
    this.#form.hidden = !visible;
    if (appears) this.#field.focus({ preventScroll: true });
  }
}
