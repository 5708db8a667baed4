// The buttons and messages of a running call.

import { describePeople } from "./call_texts.js";
import { find } from "./dom.js";

const COPIED_MS = 1500;

/**
 * @typedef {object} CallActions
 * @property {() => void} leave
 * @property {() => void} calibrate
 * @property {(on: boolean) => void} followEyes
 * @property {() => void} unblock plays the voices that the browser holds back
 * @property {(deviceId: string) => void} useCamera
 */

export class CallBar {
  #page;

  /**
   * @param {Document} page
   * @param {CallActions} actions
   */
  constructor(page, { leave, calibrate, followEyes, unblock, useCamera }) {
    this.#page = page;
    find(page, "[data-leave]").addEventListener("click", leave);
    find(page, "[data-calibrate]").addEventListener("click", calibrate);
    find(page, "#unmute button").addEventListener("click", unblock);
    const eyes = /** @type {HTMLInputElement} */ (find(page, "[data-eyes]"));
    eyes.addEventListener("change", () => followEyes(eyes.checked));
    const cameras = /** @type {HTMLSelectElement} */ (find(page, "select[name=camera]"));
    cameras.addEventListener("change", () => useCamera(cameras.value));
    const button = find(page, "[data-settings-button]");
    const settings = find(page, "#settings");
    button.addEventListener("click", () => this.#openSettings(settings.hidden === true));
    page.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || settings.hidden) return;
      this.#openSettings(false);
      button.focus();
    });
    for (const copy of page.querySelectorAll("[data-copy]")) {
      copy.addEventListener("click", () => this.#copy(/** @type {HTMLElement} */ (copy)));
    }
  }

  /**
   * Show the other participants.
   *
   * @param {string} call
   * @param {readonly {name: string}[]} others
   */
  showPeople(call, others) {
    const text = others.length ? describePeople(others) : "You are alone here.";
    find(this.#page, "[data-others]").textContent = text;
    find(this.#page, "#alone").hidden = others.length > 0;
    const link = /** @type {HTMLInputElement} */ (find(this.#page, "[data-link]"));
    link.value = callLink(this.#page.location.href, call);
  }

  /**
   * Show the cameras, if there is a choice.
   *
   * @param {readonly Pick<MediaDeviceInfo, "deviceId" | "label">[]} cameras
   * @param {string | undefined} used
   */
  showCameras(cameras, used) {
    const options = cameras.map(({ deviceId, label }, index) =>
      Object.assign(this.#page.createElement("option"), {
        value: deviceId,
        textContent: label || `Camera ${index + 1}`,
        selected: deviceId === used,
      }),
    );
    find(this.#page, "select[name=camera]").replaceChildren(...options);
  }

  /** @param {boolean} measuring whether the neutral face is being measured */
  set calibrating(measuring) {
    const button = /** @type {HTMLButtonElement} */ (find(this.#page, "[data-calibrate]"));
    button.disabled = measuring;
    button.textContent = measuring ? "Look straight ahead…" : "Set my neutral face";
  }

  /** @param {boolean} blocked whether the browser holds voices back until a click */
  set blocked(blocked) {
    find(this.#page, "#unmute").hidden = !blocked;
  }

  /**
   * Open or close the settings. They precede their button on the page, so that the Tab key would pass them
   * by: opened, they take the focus.
   *
   * @param {boolean} open
   */
  #openSettings(open) {
    const panel = find(this.#page, "#settings");
    panel.hidden = !open;
    find(this.#page, "[data-settings-button]").setAttribute("aria-expanded", String(open));
    if (open) find(panel, "select").focus({ preventScroll: true });
  }

  /** @param {HTMLElement} button */
  async #copy(button) {
    const field = /** @type {HTMLInputElement} */ (find(this.#page, "[data-link]"));
    const words = button.textContent;
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch {
      field.select();
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => {
      button.textContent = words;
    }, COPIED_MS);
  }
}

/**
 * Return the address at which others join. It holds no token.
 *
 * @param {string} page address of the page
 * @param {string} call
 */
export function callLink(page, call) {
  const link = new URL(".", page);
  link.search = new URLSearchParams({ call }).toString();
  return link.href;
}
