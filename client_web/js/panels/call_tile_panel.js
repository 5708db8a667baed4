// The tile of one person of a call: their face, their name, whether they speak.

import { describeQueuePosition, describeTrouble } from "./texts.js";

const SPEAKING_LEVEL = 0.35; // of the meter: louder than a quiet room
const SPEAKING_HELD_MS = 400; // pauses between syllables are shorter

const MUTED_ICON =
  "M9 9.5V11a3 3 0 0 0 5 2.2M15 8.5v-2a3 3 0 0 0-6-.6M5.5 11.5a6.5 6.5 0 0 0 10.4 5.2M18.5 11.5a6.5 6.5 0 0 1-.5 2.5M12 18v3M4.5 4.5l15 15";

/**
 * @typedef {import("../connection/connection_manager.js").ConnectionState} ConnectionState
 * @typedef {import("../connection/trouble.js").Trouble} Trouble
 */

export class CallTilePanel {
  #note;
  #name;
  #connection = "";
  #present = true;
  #loudAt_ms = -Infinity;

  /** @type {HTMLElement} */ element;
  /** The square that shows frames. @type {HTMLElement} */ frame;
  /** @type {HTMLVideoElement} */ video;
  /** @type {HTMLCanvasElement} */ jpeg;
  /** @type {HTMLCanvasElement} */ still;

  /** @param {Document} page */
  constructor(page) {
    this.element = page.createElement("article");
    this.element.className = "tile";
    this.frame = page.createElement("div");
    this.frame.className = "frame";
    this.video = page.createElement("video");
    Object.assign(this.video, {
      ...{ muted: true, autoplay: true, playsInline: true, disablePictureInPicture: true },
      tabIndex: -1,
    });
    this.jpeg = page.createElement("canvas");
    this.jpeg.className = "jpeg";
    this.still = page.createElement("canvas");
    this.still.className = "still";
    this.frame.append(this.video, this.jpeg, this.still);
    this.#note = page.createElement("p");
    this.#note.className = "note";
    this.#note.setAttribute("role", "status");
    const label = page.createElement("p");
    label.className = "name";
    this.#name = page.createElement("b");
    label.append(mutedIcon(page), this.#name);
    this.element.append(this.frame, this.#note, label);
  }

  /** @param {Pick<import("../connection/call_connection.js").Person, "name" | "muted" | "present">} person */
  show({ name, muted, present }) {
    this.#name.textContent = name;
    this.element.setAttribute("aria-label", muted ? `${name}, muted` : name);
    this.element.classList.toggle("muted", muted);
    this.element.classList.toggle("away", !present);
    this.#present = present;
    this.#write();
  }

  /**
   * Show what keeps the face away.
   *
   * @param {ConnectionState} state
   * @param {Trouble | null} trouble the last one, unless it is over
   */
  showConnection(state, trouble) {
    this.#connection = describeConnection(state, trouble);
    this.#write();
  }

  /**
   * Show how loud the person is.
   *
   * @param {number} level 0 to 1
   * @param {number} now_ms
   */
  showLevel(level, now_ms) {
    if (level > SPEAKING_LEVEL) this.#loudAt_ms = now_ms;
    this.element.classList.toggle("speaking", now_ms - this.#loudAt_ms < SPEAKING_HELD_MS);
    this.element.style.setProperty("--level", level.toFixed(3));
  }

  #write() {
    const text = this.#present ? this.#connection : "Reconnecting…";
    if (this.#note.textContent !== text) this.#note.textContent = text;
  }
}

/**
 * @param {ConnectionState} state
 * @param {Trouble | null} trouble
 * @returns {string} "" while the face is live
 */
function describeConnection(state, trouble) {
  if (state.state === "live") return "";
  if (state.state === "queued") return describeQueuePosition(state.queue.place).title;
  if (!trouble) return "Connecting…";
  return describeTrouble(trouble, { stream: "", host: location.host }).title;
}

/** @param {Document} page */
function mutedIcon(page) {
  const icon = page.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  const path = page.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", MUTED_ICON);
  icon.append(path);
  return icon;
}
