// The panel that goes live from a camera. Shows and reports; decides nothing.

import { AvatarCards } from "./avatar_cards.js";
import { CameraPreview } from "./camera_preview.js";
import { find } from "./dom.js";
import { SetupForm } from "./setup_form.js";
import { showWords } from "./words.js";

/**
 * @typedef {object} Choice
 * @property {string} stream
 * @property {string} avatar
 * @property {string} token "" if none was entered
 *
 * @typedef {object} PublishActions
 * @property {(choice: Choice) => void} go
 * @property {(avatar: string) => void} avatarChosen
 * @property {() => void} stop
 * @property {() => void} calibrate
 * @property {(mirrored: boolean) => void} mirror
 * @property {(shown: boolean) => void} showMesh
 * @property {(deviceId: string) => void} useCamera
 *
 * @typedef {import("./publish_texts.js").PublishText & {action?: string}} Words
 */

export class PublishPanel {
  #element;
  #form;

  /** The avatars to choose from. */
  cards;

  /** One's own camera. */
  preview;

  /**
   * @param {HTMLElement} element
   * @param {PublishActions} actions
   */
  constructor(element, actions) {
    this.#element = element;
    this.cards = new AvatarCards(element, actions.avatarChosen);
    this.preview = new CameraPreview(find(element, ".camera"));
    this.#form = new SetupForm(element, () => actions.go(this.choice));
    find(element, "[data-stop]").addEventListener("click", actions.stop);
    find(element, "[data-calibrate]").addEventListener("click", actions.calibrate);
    const mirror = this.#switch("[data-mirror]");
    mirror.addEventListener("change", () => actions.mirror(mirror.checked));
    const mesh = this.#switch("[data-mesh]");
    mesh.addEventListener("change", () => actions.showMesh(mesh.checked));
    const cameras = this.#cameras;
    cameras.addEventListener("change", () => actions.useCamera(cameras.value));
    // The page's own keys (R, H, F) are letters here.
    element.addEventListener("keydown", (event) => {
      if (
        /** @type {HTMLElement} */ (event.target).matches(
          "input:not([type=checkbox], [type=radio])",
        )
      )
        event.stopPropagation();
    });
  }

  /** @returns {Choice} */
  get choice() {
    const form = this.#form;
    return { stream: form.text("stream"), avatar: form.text("avatar"), token: form.text("token") };
  }

  /**
   * Open the panel.
   *
   * @param {{stream: string, mirrored: boolean, mesh: boolean}} remembered
   */
  open({ stream, mirrored, mesh }) {
    this.#element.inert = false;
    this.#form.input("stream").value = stream;
    this.#switch("[data-mirror]").checked = mirrored;
    this.#switch("[data-mesh]").checked = mesh;
    this.#form.input("stream").focus({ preventScroll: true });
  }

  /** Ask for a token. */
  askForToken() {
    this.#form.askForToken();
  }

  /**
   * Show what is happening, or what is missing.
   *
   * @param {Words | null} words null for nothing
   */
  showMessage(words) {
    showWords(this.#element, words);
    this.#goButton.textContent = words?.action ?? "Go live";
  }

  /** @param {boolean} busy while the camera, the tracker and the stream are opened */
  set busy(busy) {
    this.#goButton.disabled = busy;
    if (busy) this.#goButton.textContent = "Starting…";
  }

  /** @param {boolean} live */
  set live(live) {
    this.#form.hidden = live;
    find(this.#element, "[data-live]").hidden = !live;
    find(this.#element, "[data-live-footer]").hidden = !live;
    const heading = find(this.#element, "h2");
    heading.textContent = live ? "You are live" : "Go live";
    if (!live) return;
    // The form was scrolled, and its button, which is hidden now, had the focus.
    find(this.#element, ".scroll").scrollTop = 0;
    heading.focus({ preventScroll: true });
  }

  /**
   * Show the cameras, if there is a choice.
   *
   * @param {readonly Pick<MediaDeviceInfo, "deviceId" | "label">[]} cameras
   * @param {string | undefined} used
   */
  showCameras(cameras, used) {
    const options = cameras.map(({ deviceId, label }, index) => {
      const option = this.#element.ownerDocument.createElement("option");
      Object.assign(option, {
        value: deviceId,
        textContent: label || `Camera ${index + 1}`,
        selected: deviceId === used,
      });
      return option;
    });
    this.#cameras.replaceChildren(...options);
    find(this.#element, "[data-cameras]").hidden = cameras.length < 2;
  }

  /** @param {boolean} measuring whether the neutral face is being measured */
  set calibrating(measuring) {
    const button = /** @type {HTMLButtonElement} */ (find(this.#element, "[data-calibrate]"));
    button.disabled = measuring;
    button.textContent = measuring ? "Look straight ahead…" : "Set my neutral face";
  }

  /**
   * Show measurements.
   *
   * @param {Record<string, string>} texts by field
   */
  showMeasured(texts) {
    for (const [name, text] of Object.entries(texts)) {
      const field = find(this.#element, `[data-m="${name}"]`);
      if (field.textContent !== text) field.textContent = text;
    }
  }

  /** @param {string} selector @returns {HTMLInputElement} */
  #switch(selector) {
    return find(this.#element, selector);
  }

  /** @returns {HTMLButtonElement} */
  get #goButton() {
    return find(this.#element, "[data-go]");
  }

  /** @returns {HTMLSelectElement} */
  get #cameras() {
    return find(this.#element, "select[name=camera]");
  }
}
