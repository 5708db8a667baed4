// The refined still of an image that does not move: shown over the frames while they show the same, and
// removed with the first frame that differs. It fades, because it is sharper than a frame.

/**
 * @typedef {object} RefinedElements
 * @property {HTMLCanvasElement} refined covers the frames; visible with class `shown`
 *
 * @typedef {object} StillSource
 * @property {(number: number, signal: AbortSignal) => Promise<Blob | null>} load null if the face
 *   has moved since
 * @property {() => number} size_px rows of the frame on the screen, in its own pixels
 */

export class RefinedImage {
  #canvas;
  #source;
  /** @type {number | null} number of the still in the displayed frame's event */ #named = null;
  #displayedAt_ms = -Infinity;
  #loading = new AbortController();

  /** Number of stills shown so far. */
  shown = 0;

  /**
   * @param {RefinedElements} elements
   * @param {StillSource} source
   */
  constructor({ refined }, source) {
    this.#canvas = refined;
    this.#source = source;
  }

  /** @returns {boolean} whether a still is shown, or fades in */
  get visible() {
    return this.#canvas.classList.contains("shown");
  }

  /**
   * Must be called for each frame that is displayed, once its event has arrived.
   *
   * @param {number | null} still the still that shows the same
   * @param {number} displayed_at_ms
   */
  frameDisplayed(still, displayed_at_ms) {
    // The event of an earlier frame, which came late.
    if (displayed_at_ms < this.#displayedAt_ms) return;
    this.#displayedAt_ms = displayed_at_ms;
    if (still === this.#named) return;
    this.clear();
    this.#named = still;
    if (still !== null) this.#load(still);
  }

  /** Show the frames alone; must be called when another session begins. */
  clear() {
    this.#named = null;
    this.#loading.abort();
    this.#canvas.classList.remove("shown");
  }

  /** @param {number} still */
  async #load(still) {
    this.#loading = new AbortController();
    const { signal } = this.#loading;
    try {
      const blob = await this.#source.load(still, signal);
      const bitmap = blob && (await createImageBitmap(blob));
      if (bitmap && !signal.aborted) this.#draw(bitmap);
      bitmap?.close();
    } catch {
      // The frames stay visible; the next still is tried again.
    }
  }

  /** @param {ImageBitmap} bitmap */
  #draw(bitmap) {
    const size = Math.max(this.#source.size_px(), bitmap.height);
    Object.assign(this.#canvas, { width: size, height: size });
    const context = this.#canvas.getContext("2d");
    if (!context) return;
    // Bicubic in Chromium: without the stars that bilinear enlargement makes of eyelashes.
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, size, size);
    this.#canvas.classList.add("shown");
    this.shown += 1;
  }
}
