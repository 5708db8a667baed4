// What a mouse, a pen, fingers or a wheel do to the view. Given its element; no network.

const TURN_RAD = 1.9; // a drag across the whole picture
const THROW_SPAN_MS = 90; // a thrown view keeps the speed of its last moments
const WHEEL_PER_PIXEL = 0.0012;
const WHEEL_LINE_PX = 16;
const FASTEST_RAD_S = 4;

/** @typedef {{x: number, y: number}} Point */

export class Gestures {
  /** @type {Map<number, Point>} */ #pointers = new Map();
  /** @type {{at_ms: number, yaw: number, pitch: number}[]} */ #trail = [];
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
    const on = (type, listener, options) =>
      element.addEventListener(type, (event) => listener.call(this, event), { ...options, signal });
    on("pointerdown", this.#down);
    // Raw updates come before the frame they are drawn in: up to a frame earlier than moves.
    on("onpointerrawupdate" in element ? "pointerrawupdate" : "pointermove", this.#move);
    on("pointerup", this.#up);
    on("pointercancel", this.#up);
    on("wheel", this.#wheel, { passive: false });
    on("dblclick", this.#home);
  }

  #down(event) {
    if (event.button !== 0 || this.#pointers.size >= 2) return;
    this.#element.setPointerCapture(event.pointerId);
    this.#element.classList.add("grabbed");
    this.#pointers.set(event.pointerId, pointOf(event));
    this.#trail = [];
    this.#orbit.stop();
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const spreadBefore = this.#spread();
    this.#pointers.set(event.pointerId, pointOf(event));
    if (spreadBefore) this.#pinch(spreadBefore);
    else this.#drag(event.clientX - before.x, event.clientY - before.y, event.timeStamp);
    this.#onInput(event.timeStamp);
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId) || this.#pointers.size) return;
    this.#element.classList.remove("grabbed");
    this.#throw(event.timeStamp);
    this.#onInput(event.timeStamp);
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_LINE_PX;
    this.#orbit.zoomBy(Math.exp(Math.min(Math.max(pixels, -240), 240) * WHEEL_PER_PIXEL));
    this.#onInput(event.timeStamp);
  }

  #home(event) {
    this.#orbit.goHome();
    this.#onInput(event.timeStamp);
  }

  /** The face follows the hand, so the eye goes the other way. */
  #drag(dx_px, dy_px, at_ms) {
    const perPixel = TURN_RAD / Math.min(this.#element.clientWidth, this.#element.clientHeight);
    const [yaw, pitch] = [-dx_px * perPixel, dy_px * perPixel];
    this.#orbit.turn(yaw, pitch);
    this.#trail.push({ at_ms, yaw, pitch });
    this.#forgetTrailBefore(at_ms - THROW_SPAN_MS);
  }

  #pinch(spreadBefore) {
    this.#orbit.zoomBy(spreadBefore / Math.max(this.#spread(), 1), { atOnce: true });
    this.#trail = [];
  }

  #throw(at_ms) {
    this.#forgetTrailBefore(at_ms - THROW_SPAN_MS);
    const sum = (axis) => this.#trail.reduce((total, step) => total + step[axis], 0);
    const speed = (axis) => capped((sum(axis) * 1000) / THROW_SPAN_MS);
    this.#orbit.throw(speed("yaw"), speed("pitch"));
    this.#trail = [];
  }

  #forgetTrailBefore(at_ms) {
    this.#trail = this.#trail.filter((step) => step.at_ms >= at_ms);
  }

  /** Distance between two fingers in pixels, 0 for fewer. */
  #spread() {
    const [a, b] = this.#pointers.values();
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }
}

function pointOf({ clientX, clientY }) {
  return { x: clientX, y: clientY };
}

function capped(speed) {
  return Math.min(Math.max(speed, -FASTEST_RAD_S), FASTEST_RAD_S);
}
