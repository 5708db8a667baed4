// Gives the page, or a tile of it, the colour of the image's own background, so that the video has no visible edge.

const SIDE_PX = 24; // of the small copy that the border's colour is read from
const UPDATE_EVERY_MS = 1000;

export class Backdrop {
  #image;
  #element;
  #context;

  /**
   * @param {Document} page
   * @param {() => HTMLVideoElement | HTMLCanvasElement} image returns the displayed image
   * @param {HTMLElement} [element] whose custom property `--studio` receives the colour
   */
  constructor(page, image, element = page.documentElement) {
    this.#image = image;
    this.#element = element;
    const canvas = page.createElement("canvas");
    canvas.width = SIDE_PX;
    canvas.height = SIDE_PX;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
  }

  /**
   * Update regularly.
   *
   * @param {AbortSignal} signal
   */
  start(signal) {
    const timer = setInterval(() => this.update(), UPDATE_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** Read the colour of the displayed image. */
  update() {
    const image = this.#image();
    const width = "videoWidth" in image ? image.videoWidth : image.width;
    if (!this.#context || width === 0) return;
    this.#context.drawImage(image, 0, 0, SIDE_PX, SIDE_PX);
    const { data } = this.#context.getImageData(0, 0, SIDE_PX, SIDE_PX);
    const [r, g, b] = borderColour(data, SIDE_PX);
    this.#element.style.setProperty("--studio", `rgb(${r} ${g} ${b})`);
  }
}

/**
 * Return the usual colour along the top and the upper half of both sides; lower down are shoulders.
 *
 * @param {Uint8ClampedArray} rgba of a square image
 * @param {number} side in pixels
 * @returns {[number, number, number]} median per channel
 */
export function borderColour(rgba, side) {
  /** @type {number[]} */
  const pixels = [];
  for (let i = 0; i < side; i++) pixels.push(i * 4);
  for (let row = 1; row < side / 2; row++) pixels.push(row * side * 4, (row * side + side - 1) * 4);
  /** @param {number} channel */
  const median = (channel) => {
    const values = pixels.map((offset) => rgba[offset + channel]).sort((a, b) => a - b);
    return values[values.length >> 1];
  };
  return [median(0), median(1), median(2)];
}
