// The face while the viewer drives it: where its sliders stand, how it moves from one expression to
// the next, and which mesh frames go out. Knows no sliders and no channel.

import { meshMessage } from "../connection/messages.js";
import { blend, blink } from "./presets.js";
import { fromYawPitchRoll } from "../reprojection/quaternion.js";

const EASE_S = 0.1; // a preset is two thirds there after this time
const RELEASE_S = 0.4; // time to come to rest before the stream has the face back
const NECK_M = 0.11; // the neck's base lies this far below the eyes: the head turns about it
const REST = Object.freeze({ turn: 0, nod: 0, tilt: 0 });

/** @typedef {{turn: number, nod: number, tilt: number}} HeadTurn radians; to the person's left, down, to their left */

export class Face {
  /** @type {Record<string, number>} */ #goal = {};
  /** @type {Record<string, number>} */ #now = {};
  /** @type {HeadTurn} */ #head = { ...REST };
  /** @type {import("./presets.js").Performance | null} */ #performance = null;
  #easing = false;
  /** @type {number | null} */ #restAt_s = null;
  #driving = false;
  /** @type {Set<string> | null} */ #names = null;
  #range = [0, 1];
  #seq;

  blinking = true;

  /**
   * @param {number} firstSeq above those of the stream's own publisher, so that the frames that come
   *   back tell whose face they show
   */
  constructor(firstSeq) {
    this.#seq = firstSeq;
  }

  /**
   * Sends only what the avatar takes, from now on.
   *
   * @param {readonly string[]} names its coefficients
   * @param {readonly [number, number]} range their least and greatest value
   */
  fit(names, range) {
    this.#names = new Set(names);
    this.#range = range;
  }

  /** Whether this viewer has the face in hand. */
  get driving() {
    return this.#driving;
  }

  /** Whether it changes by itself, so that every frame shows another face. */
  get moving() {
    return this.#easing || this.#performance !== null;
  }

  /** @returns {Record<string, number>} where the sliders stand */
  get goal() {
    return this.#goal;
  }

  /** @returns {HeadTurn} */
  get head() {
    return this.#head;
  }

  /** Moves coefficients at once, as under a finger. @param {Record<string, number>} values */
  set(values) {
    this.#take();
    this.#performance = null;
    this.#goal = { ...this.#goal, ...values };
    if (!this.#easing) this.#now = { ...this.#goal };
    else this.#now = { ...this.#now, ...values };
  }

  /** @param {Partial<HeadTurn>} turn */
  turnHead(turn) {
    this.#take();
    this.#head = { ...this.#head, ...turn };
  }

  /** Eases into another expression. @param {Record<string, number>} expression */
  become(expression) {
    this.#take();
    this.#performance = null;
    this.#goal = { ...expression };
    this.#easing = true;
  }

  /** Moves as `performance` says until something else is asked. */
  perform(performance) {
    this.#take();
    this.#performance = performance;
    this.#goal = {};
    this.#easing = true;
  }

  /** Comes to rest, then gives the face back. @param {number} now_s */
  release(now_s) {
    if (!this.#driving || this.#restAt_s !== null) return;
    this.become({});
    this.#head = { ...REST };
    this.#restAt_s = now_s + RELEASE_S;
  }

  /**
   * Moves on in time.
   *
   * @param {number} now_s @param {number} dt_s since the last call
   */
  step(now_s, dt_s) {
    if (this.#restAt_s !== null && now_s >= this.#restAt_s) {
      this.#driving = false;
      this.#restAt_s = null;
      this.#performance = null;
    }
    const goal = this.#performance ? this.#performance(now_s) : this.#goal;
    if (!this.#easing && !this.#performance) return;
    this.#now = blend(
      this.#now,
      goal,
      1 - Math.exp(-dt_s / (this.#performance ? EASE_S / 4 : EASE_S)),
    );
    if (this.#performance || farthest(this.#now, goal) > 0.002) return;
    this.#now = { ...goal };
    this.#easing = false;
  }

  /**
   * The next mesh frame.
   *
   * @param {number} now_ms
   * @returns {{seq: number, text: string}}
   */
  message(now_ms) {
    this.#seq += 1;
    const expression = this.blinking ? withBlink(this.#now, blink(now_ms / 1000)) : this.#now;
    return {
      seq: this.#seq,
      text: meshMessage(this.#seq, now_ms, this.#fitting(expression), headPose(this.#head)),
    };
  }

  #fitting(expression) {
    const [low, high] = this.#range;
    return Object.fromEntries(
      Object.entries(expression)
        .filter(([name]) => this.#names?.has(name) ?? true)
        .map(([name, value]) => [name, Math.min(Math.max(value, low), high)]),
    );
  }

  #take() {
    this.#driving = true;
    this.#restAt_s = null;
  }
}

/** The head turned about the base of its neck, not about its eyes. */
function headPose({ turn, nod, tilt }) {
  if (!turn && !nod && !tilt) return undefined;
  const rotation = fromYawPitchRoll(turn, nod, -tilt);
  const [x, y, z, w] = rotation;
  // R p - p for the neck p = (0, -NECK_M, 0), negated: the neck stays where it is.
  const translation = [
    NECK_M * 2 * (x * y - w * z),
    -NECK_M * 2 * (x * x + z * z),
    NECK_M * 2 * (y * z + w * x),
  ];
  return { rotation, translation };
}

function withBlink(expression, closed) {
  if (!closed) return expression;
  const lid = (name) => Math.max(expression[name] ?? 0, closed);
  return { ...expression, eyeBlinkLeft: lid("eyeBlinkLeft"), eyeBlinkRight: lid("eyeBlinkRight") };
}

function farthest(a, b) {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Math.max(0, ...[...names].map((name) => Math.abs((a[name] ?? 0) - (b[name] ?? 0))));
}
