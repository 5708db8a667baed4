// How often to look for the face: as often as leaves the machine time for the rest of the page, for other
// programs, and in a call on one machine for the server. A tracker that looks again at once takes a whole
// core, and on a busy machine everybody else's frames.

const MOST_OF_A_CORE = 2 / 3;
const MOST_OF_FEW_CORES = 1 / 2;
const FEW_CORES = 2;
const LONGEST_REST_MS = 300; // a face that moves less often looks frozen

export class TrackingPace {
  #share;
  #before_ms = Infinity;

  /** @param {number} cores of the machine */
  constructor(cores) {
    this.#share = cores > FEW_CORES ? MOST_OF_A_CORE : MOST_OF_FEW_CORES;
  }

  /**
   * Return the pause of the tracker after a frame.
   *
   * @param {number} took_ms duration of the last frame, including waits for a core
   * @returns {number} milliseconds
   */
  rest(took_ms) {
    const usual_ms = Math.min(took_ms, this.#before_ms); // a single pause of the browser is no load
    this.#before_ms = took_ms;
    return Math.min(usual_ms * (1 / this.#share - 1), LONGEST_REST_MS);
  }
}
