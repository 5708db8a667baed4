// The page that records a person for an avatar. Shows and reports; decides nothing.

import { CameraPreview } from "./camera_preview.js";
import { consentOf, EXPRESSION_TEXTS } from "./capture_texts.js";
import { find } from "./dom.js";
import { SetupForm } from "./setup_form.js";
import { showWords } from "./words.js";

/**
 * @typedef {"consent" | "recording" | "review" | "job" | "ended"} Phase
 *
 * @typedef {object} Person
 * @property {string} name
 * @property {string} consent
 * @property {string} token "" if none was entered
 *
 * @typedef {object} CaptureActions
 * @property {(person: Person) => void} begin
 * @property {() => void} finish
 * @property {() => void} upload
 * @property {() => void} again
 * @property {() => void} remove
 */

export class CapturePanel {
  #element;
  #form;

  /** One's own camera. */
  preview;

  /**
   * @param {HTMLElement} element
   * @param {CaptureActions} actions
   * @param {string} day of the statement, as it is shown
   */
  constructor(element, actions, day) {
    this.#element = element;
    this.preview = new CameraPreview(find(element, ".camera"));
    this.preview.mirrored = true;
    this.#form = new SetupForm(element, () => {
      showConsent();
      const consent = find(element, "[data-consent]").textContent ?? "";
      actions.begin({ name: this.#form.text("name"), consent, token: this.#form.text("token") });
    });
    const name = this.#form.input("name");
    const showConsent = () => {
      this.#text("[data-consent]", consentOf(name.value.trim() || "…", day));
    };
    name.addEventListener("input", showConsent);
    for (const action of /** @type {const} */ (["finish", "upload", "again", "remove"])) {
      for (const button of element.querySelectorAll(`[data-do=${action}]`)) {
        button.addEventListener("click", () => actions[action]());
      }
    }
    element.addEventListener("keydown", (event) => event.stopPropagation()); // the page's own keys
  }

  /** @param {string} name from the page's address */
  open(name) {
    this.#element.hidden = false;
    this.#form.input("name").value = name;
    this.#form.input("name").dispatchEvent(new Event("input"));
    this.phase = "consent";
  }

  /** @param {Phase} phase */
  set phase(phase) {
    this.#element.dataset.phase = phase;
    for (const part of this.#element.querySelectorAll("[data-in]")) {
      const phases = /** @type {HTMLElement} */ (part).dataset.in ?? "";
      /** @type {HTMLElement} */ (part).hidden = !phases.split(" ").includes(phase);
    }
  }

  /** @param {boolean} busy while camera and tracker are opened */
  set busy(busy) {
    /** @type {HTMLButtonElement} */
    const button = find(this.#element, "[type=submit]");
    button.disabled = busy;
    button.textContent = busy ? "Starting…" : "Start recording";
  }

  /** Remove the form, because its recording could not be used. */
  refuse() {
    this.#form.hidden = true;
  }

  /** Ask for a token. */
  askForToken() {
    this.#form.askForToken();
  }

  /**
   * Show what is missing.
   *
   * @param {import("./publish_texts.js").PublishText | null} words null for nothing
   */
  showMessage(words) {
    showWords(this.#element, words);
  }

  /**
   * Show what to do now.
   *
   * @param {string} text
   * @param {number} share of the minute, 0..1
   */
  showStep(text, share) {
    this.#text("[data-step]", text);
    find(this.#element, "[data-minute]").style.setProperty("--share", String(share));
  }

  /** @param {import("../tracking/coverage.js").Covered} covered */
  showCoverage({ yaw, pitch, expressions, share }) {
    this.#showRanges("[data-yaw]", yaw.toReversed()); // as in a mirror
    this.#showRanges("[data-pitch]", pitch);
    const rows = Object.entries(EXPRESSION_TEXTS).map(([name, text]) => {
      const strength = expressions[/** @type {keyof typeof EXPRESSION_TEXTS} */ (name)];
      const row = this.#element.ownerDocument.createElement("li");
      row.textContent = text;
      row.style.setProperty("--share", String(strength));
      row.classList.toggle("seen", strength >= 1);
      return row;
    });
    find(this.#element, "[data-expressions]").replaceChildren(...rows);
    this.#text("[data-covered]", `${Math.round(100 * share)} %`);
  }

  /**
   * Show the recording.
   *
   * @param {Blob} recording
   * @param {string} missing "" if nothing is
   */
  showRecording(recording, missing) {
    this.discardRecording();
    const video = this.#element.ownerDocument.createElement("video");
    video.controls = video.muted = video.playsInline = true;
    video.ariaLabel = "Your recording";
    video.src = URL.createObjectURL(recording);
    find(this.#element, "[data-recording]").append(video);
    const text = missing
      ? `Not seen yet: ${missing}. Record again to include these, or upload the video as it is.`
      : "Everything was seen.";
    this.#text("[data-missing]", text);
  }

  /** Let the browser free the recording that is shown, if there is one. */
  discardRecording() {
    const video = this.#element.querySelector("[data-recording] video");
    if (!video) return;
    URL.revokeObjectURL(/** @type {HTMLVideoElement} */ (video).src);
    video.remove();
  }

  /** @param {{title: string, detail: string, share: number}} progress */
  showProgress({ title, detail, share }) {
    this.#text("[data-job-title]", title);
    this.#text("[data-job-detail]", detail);
    /** @type {HTMLProgressElement} */ (find(this.#element, "progress")).value = share;
  }

  /** @param {string | null} avatar id, null if none was made */
  showResult(avatar) {
    /** @type {HTMLAnchorElement} */
    const link = find(this.#element, "[data-result]");
    link.hidden = avatar === null;
    link.href = "?publish";
  }

  /**
   * @param {string} selector
   * @param {readonly boolean[]} ranges
   */
  #showRanges(selector, ranges) {
    const cells = ranges.map((seen) => {
      const cell = this.#element.ownerDocument.createElement("i");
      cell.classList.toggle("seen", seen);
      return cell;
    });
    const element = find(this.#element, selector);
    element.replaceChildren(...cells);
    const count = ranges.filter(Boolean).length;
    element.setAttribute("aria-label", `${count} of ${ranges.length} seen`);
  }

  /**
   * @param {string} selector
   * @param {string} text
   */
  #text(selector, text) {
    const element = find(this.#element, selector);
    if (element.textContent !== text) element.textContent = text; // announced when it changes
  }
}
