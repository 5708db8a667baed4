// The buttons of the stream's voice: mute with level, and "Unmute" where the browser blocks sound.

import { find } from "./dom.js";

/**
 * @typedef {"silent" | "blocked" | "muted" | "playing"} VoiceState silent: the stream has no voice;
 *   blocked: the browser allows no sound before the user has touched the page
 */

export class VoiceControls {
  #button;
  #pill;
  #offset;

  /**
   * @param {ParentNode} page
   * @param {AbortSignal} signal
   * @param {() => void} onToggle
   */
  constructor(page, signal, onToggle) {
    this.#button = find(page, "#voice-button");
    this.#pill = find(page, "#unmute");
    this.#offset = find(page, "[data-voice-offset]");
    this.#button.addEventListener("click", onToggle, { signal });
    find(this.#pill, "button").addEventListener("click", onToggle, { signal });
  }

  /** @param {VoiceState} state */
  set state(state) {
    const off = state === "muted" || state === "blocked";
    const words = off ? "Unmute the voice" : "Mute the voice";
    this.#button.hidden = state === "silent";
    this.#button.setAttribute("aria-pressed", String(off)); // its label stays "Mute the voice"
    this.#button.setAttribute("title", `${words} (M)`);
    this.#pill.hidden = state !== "blocked";
  }

  /** @param {import("../voice/lip_sync.js").VoiceOffset} offset */
  set offset(offset) {
    const text = offsetText(offset);
    if (this.#offset.textContent !== text) this.#offset.textContent = text;
  }

  /** @param {number} level 0 to 1 */
  set level(level) {
    this.#button.style.setProperty("--level", level.toFixed(2));
  }
}

/**
 * Describe how the voice fits the lips.
 *
 * @param {import("../voice/lip_sync.js").VoiceOffset} offset
 * @returns {string} "" if it was not measured
 */
export function offsetText({ p50, p95 }) {
  if (p50 === null || p95 === null) return "";
  const rounded = Math.round(p50);
  const side = rounded < 0 ? "before" : "after";
  return `Voice ${Math.abs(rounded)} ms ${side} the lips (95 % within ± ${Math.round(p95)} ms)`;
}
