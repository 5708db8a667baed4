// Lets the newest state out at once, but at most once per animation frame; what comes in between is
// merged into one more call at the frame's end.

export class FramePacer {
  #run;
  #requestFrame;
  #waiting = false;
  #again = false;

  /**
   * @param {() => void} run sends the newest state
   * @param {(callback: () => void) => void} requestFrame `requestAnimationFrame`
   */
  constructor(run, requestFrame) {
    this.#run = run;
    this.#requestFrame = requestFrame;
  }

  request() {
    if (this.#waiting) {
      this.#again = true;
      return;
    }
    this.#waiting = true;
    this.#requestFrame(() => this.#frame());
    this.#run();
  }

  #frame() {
    this.#waiting = false;
    if (!this.#again) return;
    this.#again = false;
    this.request();
  }
}
