// Shows whether this viewer drives the face, and releases it.

/**
 * @typedef {object} DrivingElements
 * @property {HTMLElement} body gets the class `driving`
 * @property {HTMLElement} banner
 * @property {Iterable<HTMLElement>} releaseButtons
 */

export class Driving {
  #elements;
  #face;
  #refreshControls;
  #now;

  /**
   * @param {DrivingElements} elements
   * @param {Pick<import("../input/face.js").Face, "driving" | "release">} face
   * @param {() => void} refreshControls moves the sliders to the face's values
   * @param {() => number} now `performance.now`
   */
  constructor(elements, face, refreshControls, now) {
    this.#elements = elements;
    this.#face = face;
    this.#refreshControls = refreshControls;
    this.#now = now;
  }

  /** Show the present state. */
  show() {
    const { driving } = this.#face;
    this.#elements.body.classList.toggle("driving", driving);
    this.#elements.banner.inert = !driving;
    for (const button of this.#elements.releaseButtons) {
      button.toggleAttribute("disabled", !driving);
    }
    if (!driving) this.#refreshControls();
  }

  /** Let the face come to rest, then let the stream drive it again. */
  release() {
    this.#face.release(this.#now() / 1000);
    this.#refreshControls();
  }
}
