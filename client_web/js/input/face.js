// The face while this viewer drives it: the values of the sliders, the animation from one expression
// to the next, and the mesh frames that are sent. Independent of sliders and channels.

import { fromYawPitchRoll } from "../reprojection/quaternion.js";
import { blend, blink } from "./presets.js";

const EASE_S = 0.1; // a preset is reached up to 1/e after this time
const PERFORMANCE_EASE_S = EASE_S / 4; // a performance moves by itself and is followed closely
const RELEASE_S = 0.4; // to come to rest before the stream drives the face again
const REACHED = 0.002; // a smaller difference of all coefficients is not visible
const NECK_M = 0.11; // the base of the neck is this far below the eyes; the head turns about it
const REST = Object.freeze({ turn: 0, nod: 0, tilt: 0 });

/**
 * @typedef {object} HeadAngles radians
 * @property {number} turn to the person's left
 * @property {number} nod down
 * @property {number} tilt to the person's left
 *
 * @typedef {import("../connection/messages.js").Expression} Expression
 * @typedef {import("../connection/messages.js").MeshFrame} MeshFrame
 * @typedef {import("../connection/messages.js").HeadPose} HeadPose
 */

export class Face {
  /** @type {Expression} */ #goal = {};
  /** @type {Expression} */ #now = {};
  /** @type {HeadAngles} */ #head = { ...REST };
  /** @type {import("./presets.js").Performance | null} */ #performance = null;
  #easing = false;
  /** @type {number | null} */ #restAt_s = null;
  #driving = false;
  /** @type {Set<string> | null} */ #names = null;
  /** @type {readonly [number, number]} */ #range = [0, 1];
  #seq;

  /** Whether the face blinks by itself. */
  blinking = true;

  /**
   * @param {number} firstSeq above the numbers of the stream's own publisher, so that the events of
   *   frames identify whose mesh frame they show
   */
  constructor(firstSeq) {
    this.#seq = firstSeq;
  }

  /**
   * Send only what the avatar accepts from now on.
   *
   * @param {readonly string[]} names its coefficients
   * @param {readonly [number, number]} range smallest and largest value
   */
  fit(names, range) {
    this.#names = new Set(names);
    this.#range = range;
  }

  /** @returns {boolean} whether this viewer drives the face */
  get driving() {
    return this.#driving;
  }

  /** @returns {boolean} whether it changes by itself, so that every frame is different */
  get moving() {
    return this.#easing || this.#performance !== null;
  }

  /** @returns {Expression} the values of the sliders */
  get goal() {
    return this.#goal;
  }

  /** @returns {HeadAngles} */
  get head() {
    return this.#head;
  }

  /**
   * Set coefficients at once, as a slider does.
   *
   * @param {Expression} values
   */
  set(values) {
    this.#drive();
    this.#performance = null;
    this.#goal = { ...this.#goal, ...values };
    this.#now = this.#easing ? { ...this.#now, ...values } : { ...this.#goal };
  }

  /**
   * Turn the head at once.
   *
   * @param {Partial<HeadAngles>} angles
   */
  turnHead(angles) {
    this.#drive();
    this.#head = { ...this.#head, ...angles };
  }

  /**
   * Ease into another expression.
   *
   * @param {Expression} expression
   */
  become(expression) {
    this.#drive();
    this.#performance = null;
    this.#goal = { ...expression };
    this.#easing = true;
  }

  /**
   * Follow a performance until anything else is set.
   *
   * @param {import("./presets.js").Performance} performance
   */
  perform(performance) {
    this.#drive();
    this.#performance = performance;
    this.#goal = {};
    this.#easing = true;
  }

  /**
   * Come to rest and then stop driving.
   *
   * @param {number} now_s
   */
  release(now_s) {
    if (!this.#driving || this.#restAt_s !== null) return;
    this.become({});
    this.#head = { ...REST };
    this.#restAt_s = now_s + RELEASE_S;
  }

  /**
   * Advance by a time step.
   *
   * @param {number} now_s
   * @param {number} dt_s since the last step
   */
  step(now_s, dt_s) {
    if (this.#restAt_s !== null && now_s >= this.#restAt_s) {
      this.#driving = false;
      this.#restAt_s = null;
      this.#performance = null;
    }
    if (!this.moving) return;
    const goal = this.#performance ? this.#performance(now_s) : this.#goal;
    const ease_s = this.#performance ? PERFORMANCE_EASE_S : EASE_S;
    this.#now = blend(this.#now, goal, 1 - Math.exp(-dt_s / ease_s));
    if (this.#performance || farthest(this.#now, goal) > REACHED) return;
    this.#now = { ...goal };
    this.#easing = false;
  }

  /**
   * Return the next mesh frame.
   *
   * @param {number} now_ms
   * @returns {MeshFrame}
   */
  meshFrame(now_ms) {
    this.#seq += 1;
    const expression = this.blinking ? withBlink(this.#now, blink(now_ms / 1000)) : this.#now;
    return {
      seq: this.#seq,
      captured_at_ms: now_ms,
      expression: this.#fitted(expression),
      head: headPose(this.#head),
    };
  }

  /** @param {Expression} expression */
  #fitted(expression) {
    const [low, high] = this.#range;
    return Object.fromEntries(
      Object.entries(expression)
        .filter(([name]) => this.#names?.has(name) ?? true)
        .map(([name, value]) => [name, Math.min(Math.max(value, low), high)]),
    );
  }

  #drive() {
    this.#driving = true;
    this.#restAt_s = null;
  }
}

/**
 * Return the head's pose when it is turned about the base of the neck instead of the eyes.
 *
 * @param {HeadAngles} angles
 * @returns {HeadPose | undefined} undefined at rest
 */
function headPose({ turn, nod, tilt }) {
  if (!turn && !nod && !tilt) return undefined;
  const rotation = fromYawPitchRoll(turn, nod, -tilt);
  const [x, y, z, w] = rotation;
  // p - R p for the neck p = (0, -NECK_M, 0), so that it stays where it is.
  return {
    rotation,
    translation: [
      NECK_M * 2 * (x * y - w * z),
      -NECK_M * 2 * (x * x + z * z),
      NECK_M * 2 * (y * z + w * x),
    ],
  };
}

/**
 * @param {Expression} expression
 * @param {number} closed how far the lids are closed at least
 * @returns {Expression}
 */
function withBlink(expression, closed) {
  if (!closed) return expression;
  /** @param {string} name */
  const lid = (name) => Math.max(expression[name] ?? 0, closed);
  return { ...expression, eyeBlinkLeft: lid("eyeBlinkLeft"), eyeBlinkRight: lid("eyeBlinkRight") };
}

/**
 * @param {Expression} a
 * @param {Expression} b
 */
function farthest(a, b) {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Math.max(0, ...[...names].map((name) => Math.abs((a[name] ?? 0) - (b[name] ?? 0))));
}
