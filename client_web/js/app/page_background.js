// The background of the head: the avatar's own, which the page continues, or the one in the page's
// address. Then the page shows the head alone, without its own interface.

import { Backdrop } from "../panels/backdrop.js";
import { NO_TRANSPARENCY_TEXT } from "../panels/texts.js";
import { LayeredImage } from "../reprojection/layered_image.js";

const TRANSPARENT = "transparent";
const COLOUR = /^[0-9a-f]{6}$/i;
const MAX_SCALE = 2; // canvas pixels per column of the frame; more cost time and show no detail

/**
 * @typedef {object} BackgroundElements
 * @property {HTMLVideoElement} video
 * @property {HTMLCanvasElement} jpeg
 * @property {HTMLCanvasElement} clear shows the head over nothing
 */

export class PageBackground {
  #page;
  #elements;
  #wanted;
  #showMessage;
  /** @type {LayeredImage | null} */ #layers = null;

  /**
   * @param {Document} page
   * @param {BackgroundElements} elements
   * @param {string | null} wanted `RRGGBB` or `transparent`; null for the avatar's own
   * @param {(words: string) => void} showMessage called if the browser cannot show it
   */
  constructor(page, elements, wanted, showMessage) {
    this.#page = page;
    this.#elements = elements;
    this.#wanted = wanted;
    this.#showMessage = showMessage;
    const root = page.documentElement;
    root.classList.toggle("own-background", wanted !== null);
    root.classList.toggle("transparent", this.transparent);
    if (wanted && COLOUR.test(wanted)) root.style.setProperty("--studio", `#${wanted}`);
    if (this.transparent) this.#prepare();
  }

  /** @returns {boolean} whether there is nothing behind the head */
  get transparent() {
    return this.#wanted === TRANSPARENT;
  }

  /**
   * Return the address to watch a stream at, with this background. Another value than the two is
   * left to the server, which reports the expected ones.
   *
   * @param {URL} endpoint the stream's WHEP address
   * @returns {URL}
   */
  of(endpoint) {
    if (this.#wanted === null) return endpoint;
    const address = new URL(endpoint);
    address.searchParams.set("background", this.#wanted);
    return address;
  }

  /**
   * Continue the avatar's own background over the page.
   *
   * @param {() => HTMLVideoElement | HTMLCanvasElement} image returns the displayed image
   * @param {AbortSignal} signal
   * @returns {() => void} must be called with the first frame of each session
   */
  follow(image, signal) {
    if (this.#wanted !== null) return () => {};
    const backdrop = new Backdrop(this.#page, image);
    backdrop.start(signal);
    return () => backdrop.update();
  }

  /**
   * Must be called for each frame, when it is drawn.
   *
   * @param {HTMLVideoElement | HTMLCanvasElement} frame
   */
  frameDisplayed(frame) {
    if (!this.#layers) return;
    const { clear } = this.#elements;
    const columns = "videoWidth" in frame ? frame.videoWidth : frame.width;
    const onScreen = Math.round(clear.clientWidth * devicePixelRatio);
    this.#layers.draw(frame, Math.min(onScreen, MAX_SCALE * columns));
  }

  #prepare() {
    const { clear, video } = this.#elements;
    clear.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // so that it may be restored
      this.#layers = null;
    });
    clear.addEventListener("webglcontextrestored", () => this.#open());
    if ("requestVideoFrameCallback" in video) this.#open();
    else this.#showMessage(NO_TRANSPARENCY_TEXT);
  }

  #open() {
    try {
      this.#layers = new LayeredImage(this.#elements.clear);
    } catch {
      this.#showMessage(NO_TRANSPARENCY_TEXT);
    }
  }
}
