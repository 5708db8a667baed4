// The face shown while the tracker finds none: the last face is held, then eases to rest, and then
// sending stops, so that the server's idle animation takes over two seconds later.

import { betweenPoses, REST } from "./head_pose.js";

const HOLD_MS = 400; // a hand before the face, a fast turn
const FADE_MS = 900;
const RETURN_MS = 250; // from the shown face to the one that was found again

/** @typedef {import("./face_filter.js").FacePose} FacePose */

export class Presence {
  /** @type {FacePose | null} */ #shown = null;
  /** @type {FacePose | null} the last face before it was lost */ #lastSeen = null;
  /** @type {number | null} */ #lostAt_ms = null;
  /** @type {{from: FacePose, at_ms: number} | null} */ #returning = null;

  /** @returns {boolean} */
  get lost() {
    return this.#lostAt_ms !== null;
  }

  /**
   * Return the face to show.
   *
   * @param {FacePose | null} pose null if there is no face
   * @param {number} at_ms
   * @returns {FacePose | null} null if nothing is to be sent
   */
  show(pose, at_ms) {
    this.#shown = pose ? this.#seen(pose, at_ms) : this.#unseen(at_ms);
    return this.#shown;
  }

  /**
   * @param {FacePose} pose
   * @param {number} at_ms
   */
  #seen(pose, at_ms) {
    if (this.lost && this.#shown) this.#returning = { from: this.#shown, at_ms };
    this.#lostAt_ms = null;
    this.#lastSeen = pose;
    if (!this.#returning) return pose;
    const share = (at_ms - this.#returning.at_ms) / RETURN_MS;
    if (share < 1) return between(this.#returning.from, pose, smoothstep(share));
    this.#returning = null;
    return pose;
  }

  /** @param {number} at_ms */
  #unseen(at_ms) {
    if (!this.#lastSeen) return null;
    if (this.#lostAt_ms === null) {
      this.#lostAt_ms = at_ms;
      this.#lastSeen = this.#shown ?? this.#lastSeen;
      this.#returning = null;
    }
    const share = (at_ms - this.#lostAt_ms - HOLD_MS) / FADE_MS;
    if (share <= 0) return this.#lastSeen;
    if (share >= 1) return null;
    return between(this.#lastSeen, { expression: {}, head: REST }, smoothstep(share));
  }
}

/**
 * @param {FacePose} a
 * @param {FacePose} b
 * @param {number} share of `b`
 * @returns {FacePose}
 */
function between(a, b, share) {
  const names = new Set([...Object.keys(a.expression), ...Object.keys(b.expression)]);
  const expression = Object.fromEntries(
    [...names].map((name) => {
      const from = a.expression[name] ?? 0;
      return [name, from + share * ((b.expression[name] ?? 0) - from)];
    }),
  );
  return { expression, head: betweenPoses(a.head, b.head, share) };
}

/** @param {number} x 0..1 */
function smoothstep(x) {
  return x * x * (3 - 2 * x);
}
