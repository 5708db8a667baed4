// Keys of the whole page: held ones move the view, others do one thing.

const HELD = {
  ArrowLeft: { yaw: -1 },
  ArrowRight: { yaw: 1 },
  ArrowUp: { pitch: 1 },
  ArrowDown: { pitch: -1 },
  "+": { zoom: -1 },
  "=": { zoom: -1 },
  "-": { zoom: 1 },
  _: { zoom: 1 },
};
const TAP_ZOOM = 1.04;

export class Keyboard {
  /** Held keys by where they sit, for "+" may come up as "=". @type {Map<string, object>} */
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
    target.addEventListener("keydown", (event) => this.#down(event), { signal });
    target.addEventListener("keyup", (event) => this.#up(event), { signal });
    target.addEventListener("blur", () => this.#letGo(), { signal });
  }

  #down(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = this.#actions[event.key.toLowerCase()];
    if (action && !event.repeat) return action();
    const move = HELD[event.key];
    if (!move || wantsArrows(event.target)) return;
    event.preventDefault();
    if (event.repeat) return;
    this.#held.set(event.code, move);
    if (move.zoom) this.#orbit.zoomBy(TAP_ZOOM ** move.zoom);
    this.#apply();
  }

  #up(event) {
    if (this.#held.delete(event.code)) this.#apply();
  }

  #letGo() {
    if (!this.#held.size) return;
    this.#held.clear();
    this.#apply();
  }

  #apply() {
    const moves = [...this.#held.values()];
    const sum = (axis) => Math.sign(moves.reduce((total, move) => total + (move[axis] ?? 0), 0));
    this.#orbit.hold({ yaw: sum("yaw"), pitch: sum("pitch"), zoom: sum("zoom") });
    this.#onInput();
  }
}

/** A slider or a text field has its own use for arrows. */
function wantsArrows(target) {
  return (
    target instanceof Element && target.matches("input:not([type=checkbox]), select, textarea")
  );
}
