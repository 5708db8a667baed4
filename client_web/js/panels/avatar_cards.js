// Cards of the avatars to choose from.

import { find } from "./dom.js";

export class AvatarCards {
  #element;
  #onChosen;

  /**
   * @param {HTMLElement} element contains `[data-avatars]`
   * @param {(avatar: string) => void} onChosen
   */
  constructor(element, onChosen) {
    this.#element = element;
    this.#onChosen = onChosen;
  }

  /**
   * Show the avatars.
   *
   * @param {readonly {id: string, name: string}[]} avatars
   * @param {string} chosen
   */
  show(avatars, chosen) {
    const document = this.#element.ownerDocument;
    const cards = avatars.map(({ id, name }) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      const image = document.createElement("img");
      const text = document.createElement("span");
      Object.assign(input, { type: "radio", name: "avatar", value: id, checked: id === chosen });
      input.addEventListener("change", () => this.#onChosen(id));
      image.alt = "";
      image.dataset.portrait = id;
      text.textContent = name;
      label.append(input, image, text);
      return label;
    });
    find(this.#element, "[data-avatars]").replaceChildren(...cards);
  }

  /**
   * Show the portrait of an avatar on its card.
   *
   * @param {string} avatar
   * @param {string} address
   */
  showPortrait(avatar, address) {
    /** @type {NodeListOf<HTMLImageElement>} */
    const images = this.#element.querySelectorAll("img[data-portrait]");
    for (const image of images) if (image.dataset.portrait === avatar) image.src = address;
  }
}
