// The microphone in the publish panel: choice, level meter, mute. Shows and reports; decides nothing.

import { find } from "./dom.js";

/** The choice of a publisher who does not speak. */
export const NO_MICROPHONE = "none";

/**
 * @typedef {object} OwnVoiceActions
 * @property {(choice: string) => void} choose a device id, "" for the default, or `NO_MICROPHONE`
 * @property {() => void} mute switches it
 */

export class OwnVoicePanel {
  #element;
  #chosen = "";

  /**
   * @param {HTMLElement} element the publish panel
   * @param {OwnVoiceActions} actions
   */
  constructor(element, actions) {
    this.#element = element;
    for (const select of this.#selects) {
      select.addEventListener("change", () => {
        this.#choose(select.value);
        actions.choose(select.value);
      });
    }
    this.#muteButton.addEventListener("click", actions.mute);
  }

  /** @returns {string} */
  get choice() {
    return this.#chosen;
  }

  /**
   * Show the microphones to choose from.
   *
   * @param {readonly Pick<MediaDeviceInfo, "deviceId" | "label">[]} microphones labels are "" until
   *   the user has allowed one
   * @param {string} chosen
   */
  show(microphones, chosen) {
    // Chromium lists its default once more under this name.
    const others = microphones.filter(
      ({ deviceId, label }) => deviceId && label && deviceId !== "default",
    );
    const known = others.some(({ deviceId }) => deviceId === chosen) || chosen === NO_MICROPHONE;
    for (const select of this.#selects) {
      select.replaceChildren(
        this.#option("", "Default microphone"),
        ...others.map(({ deviceId, label }) => this.#option(deviceId, label)),
        this.#option(NO_MICROPHONE, "No microphone: send no voice"),
      );
    }
    this.#choose(known ? chosen : "");
  }

  /** @param {boolean} speaking whether a microphone is open */
  set speaking(speaking) {
    this.#voice.classList.toggle("off", !speaking);
    this.#muteButton.disabled = !speaking;
  }

  /** @param {boolean} muted */
  set muted(muted) {
    const words = muted ? "Unmute my microphone" : "Mute my microphone";
    this.#muteButton.setAttribute("aria-pressed", String(muted)); // its label stays "Mute my microphone"
    this.#muteButton.setAttribute("title", `${words} (M)`);
  }

  /** @param {number} level 0 to 1 */
  set level(level) {
    const meter = find(this.#element, "[data-voice-level]");
    meter.style.setProperty("--level", level.toFixed(3));
    meter.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  }

  /**
   * Show why the voice is not sent.
   *
   * @param {import("./publish_texts.js").PublishText | null} words null for nothing
   */
  showMessage(words) {
    const place = find(this.#element, "[data-voice-words]");
    place.hidden = !words;
    const text = words ? `${words.title}. ${words.detail}` : "";
    if (place.textContent !== text) place.textContent = text;
  }

  /** @param {string} chosen */
  #choose(chosen) {
    this.#chosen = chosen;
    for (const select of this.#selects) select.value = chosen;
  }

  /**
   * @param {string} value
   * @param {string} textContent
   */
  #option(value, textContent) {
    const option = this.#element.ownerDocument.createElement("option");
    return Object.assign(option, { value, textContent });
  }

  get #voice() {
    return find(this.#element, "[data-voice]");
  }

  /** @returns {HTMLButtonElement} */
  get #muteButton() {
    return find(this.#element, "[data-mute]");
  }

  /** @returns {HTMLSelectElement[]} before and after going live */
  get #selects() {
    return [
      find(this.#element, "select[name=microphone]"),
      find(this.#element, "select[name=live_microphone]"),
    ];
  }
}
