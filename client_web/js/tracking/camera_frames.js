// The frames of a playing video, one deep: the newest replaces one that was not taken.
// Browsers report no frames to a hidden page: there the present one is taken at regular times.

const HIDDEN_EVERY_MS = 33; // as often as most cameras deliver

/**
 * @typedef {object} CameraFrame
 * @property {ImageBitmap | VideoFrame} image closed by its receiver
 * @property {number} capturedAt_ms when the camera took it, this page's clock
 * @property {number} arrivedAt_ms when this page got it
 */

export class CameraFrames {
  #video;
  #handle = 0;
  #running = true;
  /** @type {{frame: CameraFrame | null}} */ #newest = { frame: null };
  /** @type {((frame: CameraFrame) => void) | null} */ #wanted = null;

  /** Frames that the camera delivered. */
  delivered = 0;

  /**
   * @param {HTMLVideoElement} video plays a camera
   * @param {import("./page_time.js").PageTime | null} [time] with it, there are frames while the page is
   *   hidden
   */
  constructor(video, time = null) {
    this.#video = video;
    this.#request();
    if (time) void this.#whileHidden(time);
  }

  /** @returns {Promise<CameraFrame>} the newest frame, at most once each */
  next() {
    const { frame } = this.#newest;
    this.#newest.frame = null;
    if (frame) return Promise.resolve(frame);
    return new Promise((resolve) => {
      this.#wanted = resolve;
    });
  }

  /** Stop; a waiting `next` is never answered. */
  close() {
    this.#running = false;
    this.#wanted = null;
    this.#video.cancelVideoFrameCallback(this.#handle);
    this.#newest.frame?.image.close();
    this.#newest.frame = null;
  }

  #request() {
    this.#handle = this.#video.requestVideoFrameCallback((now_ms, metadata) => {
      this.#request();
      this.delivered += 1;
      void this.#keep(metadata.captureTime ?? metadata.presentationTime ?? now_ms);
    });
  }

  /** @param {import("./page_time.js").PageTime} time */
  async #whileHidden(time) {
    while (this.#running) {
      await (time.hidden ? time.wait(HIDDEN_EVERY_MS) : time.changed());
      if (!time.hidden || !this.#running || !this.#wanted) continue;
      this.delivered += 1;
      await this.#keep(performance.now());
    }
  }

  /** @param {number} capturedAt_ms */
  async #keep(capturedAt_ms) {
    const arrivedAt_ms = performance.now();
    const image = await imageOf(this.#video);
    if (!image) return;
    if (!this.#running) image.close();
    else this.#offer({ image, capturedAt_ms, arrivedAt_ms });
  }

  /** @param {CameraFrame} frame */
  #offer(frame) {
    if (this.#wanted) {
      this.#wanted(frame);
      this.#wanted = null;
      return;
    }
    this.#newest.frame?.image.close();
    this.#newest.frame = frame;
  }
}

/**
 * Return the present image of a video, without a copy where the browser can.
 *
 * @param {HTMLVideoElement} video
 * @returns {Promise<ImageBitmap | VideoFrame | null>} null if it has none at the moment
 */
async function imageOf(video) {
  try {
    if (typeof VideoFrame === "function") return new VideoFrame(video);
    return await createImageBitmap(video);
  } catch {
    return null;
  }
}
