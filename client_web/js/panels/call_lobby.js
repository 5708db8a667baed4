// The form before a call: name, avatar, microphone; and the present participants.

import { AvatarCards } from "./avatar_cards.js";
import { describePeople } from "./call_texts.js";
import { find } from "./dom.js";
import { SetupForm } from "./setup_form.js";

/**
 * @typedef {object} CallChoice
 * @property {string} call
 * @property {string} name
 * @property {string} avatar id
 * @property {string} token "" if none was entered
 */

export class CallLobby {
  #element;
  #form;

  /** The avatars to choose from. */
  cards;

  /**
   * @param {HTMLElement} element
   * @param {object} actions
   * @param {(choice: CallChoice) => void} actions.join
   * @param {(avatar: string) => void} actions.avatarChosen
   */
  constructor(element, { join, avatarChosen }) {
    this.#element = element;
    this.cards = new AvatarCards(element, avatarChosen);
    this.#form = new SetupForm(element, () => join(this.choice));
  }

  /** @returns {CallChoice} */
  get choice() {
    const form = this.#form;
    return {
      ...{ call: form.text("call"), name: form.text("name") },
      ...{ avatar: form.text("avatar"), token: form.text("token") },
    };
  }

  /**
   * Open the lobby.
   *
   * @param {{call: string, name: string}} known
   */
  open({ call, name }) {
    this.#form.input("call").value = call;
    find(this.#element, "[data-call]").hidden = call !== "";
    this.#form.input("name").value = name;
    this.#form.input(call ? "name" : "call").focus({ preventScroll: true });
  }

  /** @param {readonly {name: string}[] | null} people null if that is not known */
  showPeople(people) {
    const text = people ? describePeople(people) : "";
    find(this.#element, "[data-people]").textContent = text;
  }

  /** Ask for a token. */
  askForToken() {
    this.#form.askForToken();
  }

  /** @param {boolean} busy while the seat is being taken */
  set busy(busy) {
    const button = /** @type {HTMLButtonElement} */ (find(this.#element, "[data-go]"));
    button.disabled = busy;
    button.textContent = busy ? "Joining…" : "Join";
  }
}
