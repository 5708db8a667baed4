// Keys of the whole page: held keys move the view, others trigger an action.

/** @typedef {{yaw?: number, pitch?: number, zoom?: number}} Move each -1 or 1 */

/** @type {Record<string, Move>} */
const MOVES = {
  ArrowLeft: { yaw: -1 },
  ArrowRight: { yaw: 1 },
  ArrowUp: { pitch: 1 },
  ArrowDown: { pitch: -1 },
  "+": { zoom: -1 },
  "=": { zoom: -1 },
  "-": { zoom: 1 },
  _: { zoom: 1 },
};
const TAP_ZOOM = 1.04; // of a key pressed once

export class Keyboard {
  /** @type {Map<string, Move>} by physical key: "+" may be released as "=" */
  #held = new Map();
  #orbit;
  #onInput;
  #actions;

  /**
   * @param {EventTarget} target
   * @param {import("./orbit.js").Orbit} orbit
   * @param {() => void} onInput called after the view has changed
   * @param {Record<string, () => void>} actions by lower-case key
   * @param {AbortSignal} signal
   */
  constructor(target, orbit, onInput, actions, signal) {
    this.#orbit = orbit;
    this.#onInput = onInput;
    this.#actions = actions;
    /** @param {Event} event */
    const down = (event) => this.#down(/** @type {KeyboardEvent} */ (event));
    /** @param {Event} event */
    const up = (event) => this.#up(/** @type {KeyboardEvent} */ (event));
    target.addEventListener("keydown", down, { signal });
    target.addEventListener("keyup", up, { signal });
    target.addEventListener("blur", () => this.#releaseAll(), { signal });
  }

  /** @param {KeyboardEvent} event */
  #down(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = this.#actions[event.key.toLowerCase()];
    if (action && !event.repeat) {
      action();
      return;
    }
    const move = MOVES[event.key];
    if (!move || usesArrows(event.target)) return;
    event.preventDefault();
    if (event.repeat) return;
    this.#held.set(event.code, move);
    if (move.zoom) this.#orbit.zoomBy(TAP_ZOOM ** move.zoom);
    this.#apply();
  }

  /** @param {KeyboardEvent} event */
  #up(event) {
    if (this.#held.delete(event.code)) this.#apply();
  }

  #releaseAll() {
    if (!this.#held.size) return;
    this.#held.clear();
    this.#apply();
  }

  #apply() {
    const moves = [...this.#held.values()];
    /** @param {keyof Move} axis */
    const sum = (axis) => Math.sign(moves.reduce((total, move) => total + (move[axis] ?? 0), 0));
    this.#orbit.hold({ yaw: sum("yaw"), pitch: sum("pitch"), zoom: sum("zoom") });
    this.#onInput();
  }
}

/**
 * Tell whether an element uses arrow keys itself, such as a slider or a text field.
 *
 * @param {EventTarget | null} target
 */
function usesArrows(target) {
  return (
    target instanceof Element && target.matches("input:not([type=checkbox]), select, textarea")
  );
}
