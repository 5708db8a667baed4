// The link for viewers. The publisher's own token is never part of it.

import { find } from "./dom.js";

const COPIED_MS = 1500;

const WORDS = {
  view: "The link contains the token.",
  publish: "This token may also publish: do not hand it out. Make one with the scope view alone.",
  refused: "The server does not accept this token for this stream.",
};

/**
 * Return the address at which others watch.
 *
 * @param {string} page address of the page
 * @param {string} stream
 * @param {string} token "" for none
 * @returns {string}
 */
export function viewerLink(page, stream, token = "") {
  const link = new URL(page);
  link.search = new URLSearchParams({ stream }).toString();
  link.hash = token && new URLSearchParams({ token }).toString();
  return link.href;
}

export class ShareLink {
  #element;
  #page;
  #stream = "";

  /**
   * @param {HTMLElement} element
   * @param {string} page address of the page
   * @param {(token: string, stream: string) => Promise<"view" | "publish" | "refused">} kindOf
   */
  constructor(element, page, kindOf) {
    this.#element = element;
    this.#page = page;
    /** @type {HTMLInputElement} */
    const field = find(element, "[data-view-token]");
    field.addEventListener("input", async () => {
      const token = field.value.trim();
      const kind = token ? await kindOf(token, this.#stream).catch(() => "refused") : null;
      if (field.value.trim() !== token) return; // it was changed meanwhile
      find(element, "[data-view-token-words]").textContent = kind
        ? WORDS[/** @type {keyof typeof WORDS} */ (kind)]
        : "";
      this.#show(kind === "view" ? token : "");
    });
    find(element, "[data-copy]").addEventListener("click", () => this.#copy());
  }

  /**
   * Show the link.
   *
   * @param {string} stream
   * @param {boolean} needsToken whether the server requires tokens
   */
  show(stream, needsToken) {
    this.#stream = stream;
    this.#show("");
    find(this.#element, "[data-share-token]").hidden = !needsToken;
    find(this.#element, "[data-share-command]").textContent =
      `.venv/bin/python scripts/make_token.py --scope view --stream ${stream} --minutes 60`;
  }

  /** @param {string} token */
  #show(token) {
    this.#link.value = viewerLink(this.#page, this.#stream, token);
  }

  async #copy() {
    const button = find(this.#element, "[data-copy]");
    this.#link.select();
    try {
      await navigator.clipboard.writeText(this.#link.value);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C"; // the link is selected
    }
    setTimeout(() => {
      button.textContent = "Copy";
    }, COPIED_MS);
  }

  /** @returns {HTMLInputElement} */
  get #link() {
    return find(this.#element, "[data-share]");
  }
}
