// What shows the frames: the video of WebRTC or the canvas of the JPEG fallback, and a still of the
// last frame while there is neither. Reports the first frame of each session.

import { JPEG_TEXT } from "../panels/texts.js";

/**
 * @typedef {import("../connection/delivery.js").Delivery} Delivery
 *
 * @typedef {object} DisplayElements
 * @property {HTMLElement} body gets `data-delivery` and the class `has-frame` with the first frame
 * @property {HTMLVideoElement} video
 * @property {HTMLCanvasElement} jpeg
 * @property {HTMLCanvasElement} still
 * @property {HTMLElement} note explains the JPEG fallback
 *
 * @typedef {object} DisplayListeners
 * @property {() => void} onSession called when another session's frames will be displayed
 * @property {(metadata: VideoFrameCallbackMetadata | JpegMetadata, now_ms: number) => void} onFrame
 *   called for each displayed frame
 * @property {() => void} onVideoFrame called after `onFrame` for frames of the video
 * @property {() => void} [onJpegDrawn] called for each image that is drawn on the canvas
 * @property {(delivery: Delivery) => void} onFirstFrame called for the first frame of each session
 *
 * @typedef {object} JpegMetadata what is known of a displayed JPEG image
 * @property {number} presentedFrames
 * @property {number} expectedDisplayTime
 * @property {number} rtpTimestamp the image's number
 *
 * @typedef {object} DisplayTimers
 * @property {() => number} now `performance.now`
 * @property {(callback: (at_ms: number) => void) => void} requestFrame `requestAnimationFrame`
 */

export class ImageDisplay {
  #elements;
  #listeners;
  #timers;
  #awaitsFirstFrame = false;
  /** @type {Delivery | null} */ #displayed = null;

  /** How the next frame is delivered. @type {Delivery} */
  nextDelivery = "webrtc";

  /**
   * @param {DisplayElements} elements
   * @param {DisplayTimers} timers
   * @param {DisplayListeners} listeners
   */
  constructor(elements, timers, listeners) {
    this.#elements = elements;
    this.#listeners = listeners;
    this.#timers = timers;
    this.#awaitVideoFrame();
    // For browsers that do not call back per frame.
    elements.video.addEventListener("loadeddata", () => this.#frameDisplayed());
  }

  /** @returns {Delivery | null} how the displayed frame was delivered; null before the first one */
  get delivery() {
    return this.#displayed;
  }

  /** @returns {HTMLVideoElement | HTMLCanvasElement} the element with the displayed frame */
  get element() {
    return this.#displayed === "jpeg" ? this.#elements.jpeg : this.#elements.video;
  }

  /** @returns {boolean} whether the browser reports which frame of the video it displays */
  get reportsFrames() {
    return Boolean(this.#elements.video.requestVideoFrameCallback);
  }

  /**
   * Show the video of a new session.
   *
   * @param {MediaStream} stream
   */
  showVideo(stream) {
    this.#startSession();
    this.#elements.video.srcObject = stream;
    // Muted video may start by itself. Where the browser forbids it, the first frame is displayed.
    this.#elements.video.play().catch(() => {});
  }

  /** Expect the images of a new session on the canvas. */
  showJpeg() {
    this.#startSession();
  }

  /**
   * Must be called when an image was drawn on the canvas.
   *
   * @param {number} image its number
   */
  imageDrawn(image) {
    this.#listeners.onJpegDrawn?.();
    // The first animation frame paints the canvas. When the second begins, it is on the screen.
    this.#timers.requestFrame(() =>
      this.#timers.requestFrame((now_ms) => {
        if (this.nextDelivery !== "jpeg") return;
        const metadata = {
          presentedFrames: image,
          expectedDisplayTime: now_ms,
          rtpTimestamp: image,
        };
        this.#listeners.onFrame(metadata, now_ms);
        this.#frameDisplayed();
      }),
    );
  }

  /** Keep the last frame as a still: the video of an ended session turns black. */
  keepStill() {
    const { still, video, jpeg } = this.#elements;
    const source = this.element;
    still.width = source === video ? video.videoWidth : jpeg.width;
    still.height = source === video ? video.videoHeight : jpeg.height;
    still.getContext("2d")?.drawImage(source, 0, 0);
    video.srcObject = null;
  }

  #startSession() {
    this.#listeners.onSession();
    this.#awaitsFirstFrame = true;
  }

  #awaitVideoFrame() {
    this.#elements.video.requestVideoFrameCallback?.((_now, metadata) => {
      this.#awaitVideoFrame();
      if (!this.#elements.video.srcObject) return; // the black frame after the end of a session
      this.#listeners.onFrame(metadata, this.#timers.now());
      this.#listeners.onVideoFrame();
      this.#frameDisplayed();
    });
  }

  #frameDisplayed() {
    if (!this.#awaitsFirstFrame) return;
    this.#awaitsFirstFrame = false;
    this.#displayed = this.nextDelivery;
    this.#elements.body.dataset.delivery = this.#displayed;
    this.#elements.body.classList.add("has-frame");
    this.#elements.note.textContent = this.#displayed === "jpeg" ? JPEG_TEXT : "";
    this.#listeners.onFirstFrame(this.#displayed);
  }
}
