// The buttons of the stream's voice: mute with level, and "Unmute" where the browser blocks sound.

import { find } from "./dom.js";

/**
 * @typedef {"silent" | "blocked" | "muted" | "playing"} VoiceState silent: the stream has no voice;
 *   blocked: the browser allows no sound before the user has touched the page
 */

export class VoiceControls {
  #button;
  #pill;

  /**
   * @param {ParentNode} page
   * @param {AbortSignal} signal
   * @param {() => void} onToggle
   */
  constructor(page, signal, onToggle) {
    this.#button = find(page, "#voice-button");
    this.#pill = find(page, "#unmute");
    this.#button.addEventListener("click", onToggle, { signal });
    find(this.#pill, "button").addEventListener("click", onToggle, { signal });
  }

  /** @param {VoiceState} state */
  set state(state) {
    const off = state === "muted" || state === "blocked";
    const words = off ? "Unmute the voice" : "Mute the voice";
    this.#button.hidden = state === "silent";
    this.#button.setAttribute("aria-pressed", String(off));
    this.#button.setAttribute("aria-label", words);
    this.#button.setAttribute("title", `${words} (M)`);
    this.#pill.hidden = state !== "blocked";
  }

  /** @param {number} level 0 to 1 */
  set level(level) {
    this.#button.style.setProperty("--level", level.toFixed(2));
  }
}
