// Carries the picture's own background on into the page, so that the video has no edge. Given the
// picture and the element that wears the colour.

const SIDE = 24; // pixels of the small copy the border is read from
const EVERY_MS = 1000;

export class Backdrop {
  #picture;
  #element;
  #context;

  /** @param {() => HTMLVideoElement | HTMLCanvasElement} picture @param {HTMLElement} element @param {HTMLCanvasElement} canvas */
  constructor(picture, element, canvas) {
    this.#picture = picture;
    this.#element = element;
    canvas.width = canvas.height = SIDE;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
  }

  /** @param {AbortSignal} signal */
  start(signal) {
    const timer = setInterval(() => this.update(), EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  update() {
    const picture = this.#picture();
    if (!this.#context || ("videoWidth" in picture ? picture.videoWidth : picture.width) === 0) return;
    this.#context.drawImage(picture, 0, 0, SIDE, SIDE);
    const { data } = this.#context.getImageData(0, 0, SIDE, SIDE);
    this.#element.style.setProperty("--studio", toColour(borderColour(data, SIDE)));
  }
}

/**
 * The usual colour along the top and the upper half of both sides: lower down there are shoulders.
 *
 * @param {Uint8ClampedArray} rgba of a square picture @param {number} side in pixels
 * @returns {[number, number, number]} median per channel
 */
export function borderColour(rgba, side) {
  const pixels = [];
  for (let i = 0; i < side; i++) pixels.push(i * 4);
  for (let row = 1; row < side / 2; row++) pixels.push(row * side * 4, (row * side + side - 1) * 4);
  const median = (channel) => {
    const values = pixels.map((offset) => rgba[offset + channel]).sort((a, b) => a - b);
    return values[values.length >> 1];
  };
  return [median(0), median(1), median(2)];
}

function toColour([r, g, b]) {
  return `rgb(${r} ${g} ${b})`;
}
