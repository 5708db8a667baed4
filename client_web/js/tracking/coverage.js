// Coverage of a recording of a person so far: range of head rotation, and expressions.

import { inverse, multiply } from "../reprojection/quaternion.js";
import { averagePose, cameraPose } from "./head_pose.js";

const DEGREES = 180 / Math.PI;
const REST_FRAMES = 20; // of the first second, in which the person looks straight ahead
const YAWS = [-25, -15, -6, 6, 15, 25]; // degrees: limits of seven ranges
const PITCHES = [-11, -4, 4, 11]; // of five ranges

/** Coefficients that must have been seen, and how strong. */
const EXPRESSIONS = /** @type {const} */ ({
  open: { names: ["jawOpen"], strength: 0.4 },
  round: { names: ["mouthFunnel"], strength: 0.2 },
  pursed: { names: ["mouthPucker"], strength: 0.5 },
  smile: { names: ["mouthSmileLeft", "mouthSmileRight"], strength: 0.5 },
  blink: { names: ["eyeBlinkLeft", "eyeBlinkRight"], strength: 0.5 },
  brows: { names: ["browInnerUp"], strength: 0.3 },
});

/**
 * @typedef {keyof typeof EXPRESSIONS} ExpressionName
 *
 * @typedef {object} Covered
 * @property {boolean[]} yaw by range, from the person's right to its left
 * @property {boolean[]} pitch by range, from down to up
 * @property {Record<ExpressionName, number>} expressions 0..1, 1 is enough
 * @property {number} share of all that is needed, 0..1
 */

export class Coverage {
  /** @type {import("./head_pose.js").CameraPose[]} */ #first = [];
  #yaw = new Array(YAWS.length + 1).fill(false);
  #pitch = new Array(PITCHES.length + 1).fill(false);
  /** @type {Record<ExpressionName, number>} */
  #strongest = { open: 0, round: 0, pursed: 0, smile: 0, blink: 0, brows: 0 };

  /**
   * Take a tracked face into account.
   *
   * @param {import("./detection.js").Face} face
   */
  add({ matrix, coefficients }) {
    for (const [name, { names, strength }] of Object.entries(EXPRESSIONS)) {
      const value = Math.min(...names.map((each) => coefficients[each] ?? 0)) / strength;
      const key = /** @type {ExpressionName} */ (name);
      this.#strongest[key] = Math.min(1, Math.max(this.#strongest[key], value));
    }
    const pose = cameraPose(matrix);
    if (this.#first.length < REST_FRAMES) this.#first.push(pose);
    const rest = averagePose(this.#first).rotation;
    const { yaw, pitch } = angles(multiply(inverse(rest), pose.rotation));
    this.#yaw[rangeOf(yaw, YAWS)] = true;
    this.#pitch[rangeOf(pitch, PITCHES)] = true;
  }

  /** @returns {Covered} */
  get covered() {
    const strengths = Object.values(this.#strongest);
    const seen = [...this.#yaw, ...this.#pitch].map(Number);
    const parts = [...seen, ...strengths.map(Math.floor)];
    return {
      yaw: [...this.#yaw],
      pitch: [...this.#pitch],
      expressions: { ...this.#strongest },
      share: parts.reduce((sum, part) => sum + part, 0) / parts.length,
    };
  }
}

/**
 * @param {import("../connection/messages.js").Quaternion} rotation
 * @returns {{yaw: number, pitch: number}} degrees; positive to the person's left, and up
 */
export function angles([x, y, z, w]) {
  const yaw = Math.atan2(2 * (w * y + x * z), 1 - 2 * (x * x + y * y));
  const pitch = -Math.asin(Math.max(-1, Math.min(1, 2 * (w * x - y * z))));
  return { yaw: yaw * DEGREES, pitch: pitch * DEGREES };
}

/**
 * @param {number} value
 * @param {readonly number[]} limits
 */
function rangeOf(value, limits) {
  return limits.filter((limit) => value >= limit).length;
}
