// Tells the server how many pixels of the screen the frames cover: frames, and images which do not
// move, are rendered in a size that suits it.

import { displayMessage } from "../connection/messages.js";

const SETTLED_MS = 250; // a window that is being resized would ask for many sizes
const REPEAT_MS = 2000; // the channel of views loses messages

export class DisplaySize {
  #frame;
  #send;
  #pixelRatio;
  #stills;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /**
   * @param {Pick<HTMLElement, "clientHeight">} frame the square that shows the frames
   * @param {(text: string) => boolean} send
   * @param {() => number} pixelRatio `devicePixelRatio`
   * @param {boolean} [stills] whether refined stills are shown
   */
  constructor(frame, send, pixelRatio, stills = true) {
    this.#frame = frame;
    this.#send = send;
    this.#pixelRatio = pixelRatio;
    this.#stills = stills;
  }

  /** @returns {number} rows of the frame, in the screen's own pixels; 0 while it is hidden */
  get size_px() {
    return Math.round(this.#frame.clientHeight * this.#pixelRatio());
  }

  /** Send the size now, because a new session does not know it. */
  send() {
    if (this.size_px) this.#send(displayMessage(this.size_px, this.#stills));
  }

  /** Must be called when the frame or the density of the screen may have changed. */
  changed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.send(), SETTLED_MS);
  }

  /**
   * Follow the window until `signal` ends it.
   *
   * @param {Window} window
   * @param {AbortSignal} signal
   */
  follow(window, signal) {
    window.addEventListener("resize", () => this.changed(), { signal });
    const repeating = setInterval(() => this.send(), REPEAT_MS);
    signal.addEventListener("abort", () => clearInterval(repeating));
  }
}
