// Limits a callback to one call per animation frame: the first request runs at once, further ones
// within the frame are merged into one call at its end.

export class FramePacer {
  #run;
  #requestFrame;
  #scheduled = false;
  #again = false;

  /**
   * @param {() => void} run sends the newest state
   * @param {(callback: () => void) => void} requestFrame `requestAnimationFrame`
   */
  constructor(run, requestFrame) {
    this.#run = run;
    this.#requestFrame = requestFrame;
  }

  /** Run the callback now, or at the end of the present frame. */
  request() {
    if (this.#scheduled) {
      this.#again = true;
      return;
    }
    this.#scheduled = true;
    this.#requestFrame(() => this.#frameEnded());
    this.#run();
  }

  #frameEnded() {
    this.#scheduled = false;
    if (!this.#again) return;
    this.#again = false;
    this.request();
  }
}
