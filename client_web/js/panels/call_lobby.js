// What is asked before a call: name, avatar, microphone; and who is there already.

import { AvatarCards } from "./avatar_cards.js";
import { describePeople } from "./call_texts.js";
import { find } from "./dom.js";

/**
 * @typedef {object} CallChoice
 * @property {string} call
 * @property {string} name
 * @property {string} avatar id
 * @property {string} token "" if none was entered
 */

export class CallLobby {
  #element;
  #cards;

  /**
   * @param {HTMLElement} element
   * @param {object} actions
   * @param {(choice: CallChoice) => void} actions.join
   * @param {(avatar: string) => void} actions.avatarChosen
   */
  constructor(element, { join, avatarChosen }) {
    this.#element = element;
    this.#cards = new AvatarCards(element, avatarChosen);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      join(this.choice);
    });
  }

  /** @returns {CallChoice} */
  get choice() {
    const data = new FormData(this.#form);
    /** @param {string} name */
    const text = (name) => String(data.get(name) ?? "").trim();
    return {
      ...{ call: text("call"), name: text("name") },
      ...{ avatar: text("avatar"), token: text("token") },
    };
  }

  /**
   * Open the lobby.
   *
   * @param {{call: string, name: string}} known
   */
  open({ call, name }) {
    this.#input("call").value = call;
    find(this.#element, "[data-call]").hidden = call !== "";
    this.#input("name").value = name;
    this.#input(call ? "name" : "call").focus({ preventScroll: true });
  }

  /** @param {readonly {name: string}[] | null} people null if that is not known */
  showPeople(people) {
    const text = people ? describePeople(people) : "";
    find(this.#element, "[data-people]").textContent = text;
  }

  /**
   * Show the avatars to choose from.
   *
   * @param {readonly {id: string, name: string}[]} avatars
   * @param {string} chosen
   */
  showAvatars(avatars, chosen) {
    this.#cards.show(avatars, chosen);
  }

  /**
   * @param {string} avatar
   * @param {string} address
   */
  showPortrait(avatar, address) {
    this.#cards.showPortrait(avatar, address);
  }

  /** Ask for a token. */
  askForToken() {
    find(this.#element, "[data-token]").hidden = false;
    this.#input("token").focus();
  }

  /** @param {boolean} busy while the seat is being taken */
  set busy(busy) {
    const button = /** @type {HTMLButtonElement} */ (find(this.#element, "[data-go]"));
    button.disabled = busy;
    button.textContent = busy ? "Joining…" : "Join";
  }

  /** @returns {HTMLFormElement} */
  get #form() {
    return find(this.#element, "[data-setup]");
  }

  /** @param {string} name @returns {HTMLInputElement} */
  #input(name) {
    return find(this.#element, `input[name="${name}"]`);
  }
}
