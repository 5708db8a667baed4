// Pointer and wheel gestures that move the camera. Uses its element, independent of the network.

const TURN_RAD = 1.9; // for a drag across the whole element
const THROW_SPAN_MS = 90; // a thrown view keeps its mean speed over this time
const ZOOM_PER_PIXEL = 0.0012; // natural logarithm of the zoom
const WHEEL_LINE_PX = 16; // browsers that report lines instead of pixels
const MAX_WHEEL_PX = 240; // of one event; some devices report jumps
const MAX_SPEED_RAD_S = 4;

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{at_ms: number, yaw: number, pitch: number}} Drag */

export class Gestures {
  /** @type {Map<number, Point>} */ #pointers = new Map();
  /** @type {Drag[]} */ #recent = [];
  #element;
  #orbit;
  #onInput;

  /**
   * @param {HTMLElement} element
   * @param {import("./orbit.js").Orbit} orbit
   * @param {(at_ms?: number) => void} onInput called after the view has changed
   * @param {AbortSignal} signal
   */
  constructor(element, orbit, onInput, signal) {
    this.#element = element;
    this.#orbit = orbit;
    this.#onInput = onInput;
    /**
     * @template {Event} E
     * @param {string} type
     * @param {(event: E) => void} listener
     * @param {AddEventListenerOptions} [options]
     */
    const on = (type, listener, options) =>
      element.addEventListener(type, /** @type {EventListener} */ (listener), {
        ...options,
        signal,
      });
    on("pointerdown", (/** @type {PointerEvent} */ event) => this.#down(event));
    // Raw updates come before the animation frame: up to one frame earlier than `pointermove`.
    const move = "onpointerrawupdate" in element ? "pointerrawupdate" : "pointermove";
    on(move, (/** @type {PointerEvent} */ event) => this.#move(event));
    on("pointerup", (/** @type {PointerEvent} */ event) => this.#up(event));
    on("pointercancel", (/** @type {PointerEvent} */ event) => this.#up(event));
    on("wheel", (/** @type {WheelEvent} */ event) => this.#wheel(event), { passive: false });
    on("dblclick", (event) => this.#home(event));
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button !== 0 || this.#pointers.size >= 2) return;
    this.#element.setPointerCapture(event.pointerId);
    this.#element.classList.add("grabbed");
    this.#pointers.set(event.pointerId, pointOf(event));
    this.#recent = [];
    this.#orbit.stop();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const spreadBefore = this.#spread();
    this.#pointers.set(event.pointerId, pointOf(event));
    if (spreadBefore) this.#pinch(spreadBefore);
    else this.#drag(event.clientX - before.x, event.clientY - before.y, event.timeStamp);
    this.#onInput(event.timeStamp);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (!this.#pointers.delete(event.pointerId) || this.#pointers.size) return;
    this.#element.classList.remove("grabbed");
    this.#throw(event.timeStamp);
    this.#onInput(event.timeStamp);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_LINE_PX;
    const limited = Math.min(Math.max(pixels, -MAX_WHEEL_PX), MAX_WHEEL_PX);
    this.#orbit.zoomBy(Math.exp(limited * ZOOM_PER_PIXEL));
    this.#onInput(event.timeStamp);
  }

  /** @param {Event} event */
  #home(event) {
    this.#orbit.goHome();
    this.#onInput(event.timeStamp);
  }

  /**
   * Turn so that the face follows the hand: the camera moves the opposite way.
   *
   * @param {number} dx_px
   * @param {number} dy_px
   * @param {number} at_ms
   */
  #drag(dx_px, dy_px, at_ms) {
    const perPixel = TURN_RAD / Math.min(this.#element.clientWidth, this.#element.clientHeight);
    const [yaw, pitch] = [-dx_px * perPixel, dy_px * perPixel];
    this.#orbit.turn(yaw, pitch);
    this.#recent.push({ at_ms, yaw, pitch });
    this.#forgetBefore(at_ms - THROW_SPAN_MS);
  }

  /** @param {number} spreadBefore */
  #pinch(spreadBefore) {
    this.#orbit.zoomBy(spreadBefore / Math.max(this.#spread(), 1), { atOnce: true });
    this.#recent = [];
  }

  /** @param {number} at_ms */
  #throw(at_ms) {
    this.#forgetBefore(at_ms - THROW_SPAN_MS);
    /** @param {"yaw" | "pitch"} axis */
    const speed = (axis) => {
      const angle = this.#recent.reduce((total, drag) => total + drag[axis], 0);
      return limitSpeed((angle * 1000) / THROW_SPAN_MS);
    };
    this.#orbit.throw(speed("yaw"), speed("pitch"));
    this.#recent = [];
  }

  /** @param {number} at_ms */
  #forgetBefore(at_ms) {
    this.#recent = this.#recent.filter((drag) => drag.at_ms >= at_ms);
  }

  /** Distance between two fingers in pixels, 0 for fewer. */
  #spread() {
    const [a, b] = this.#pointers.values();
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }
}

/**
 * @param {PointerEvent} event
 * @returns {Point}
 */
function pointOf({ clientX, clientY }) {
  return { x: clientX, y: clientY };
}

/** @param {number} speed */
function limitSpeed(speed) {
  return Math.min(Math.max(speed, -MAX_SPEED_RAD_S), MAX_SPEED_RAD_S);
}
