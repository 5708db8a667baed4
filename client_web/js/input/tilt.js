// How a phone is held: from the angles of its sensors to the direction in which the viewer's eyes are,
// as if they stayed where they are while the phone turns like a window onto the face.

import { fromAxisAngle, inverse, multiply, rotate } from "../reprojection/quaternion.js";

const RECENTER_S = 60; // after a change of posture the view eases back to straight ahead
const LONGEST_STEP_S = 0.5; // the pause of a hidden page must not count as a new posture

/** @typedef {import("../connection/messages.js").Quaternion} Quaternion */
/** @typedef {import("../connection/messages.js").Vector} Vector */

/**
 * Return the rotation of the screen.
 *
 * @param {{alpha: number, beta: number, gamma: number}} angles of a `deviceorientation` event, degrees:
 *   about Z, then X, then Y of the device (W3C Device Orientation and Motion)
 * @param {number} screen_deg `screen.orientation.angle`: how far the image is turned on the device
 * @returns {Quaternion} from the screen (+X right, +Y up, +Z to the viewer) to the earth (+Z up)
 */
export function screenRotation({ alpha, beta, gamma }, screen_deg) {
  const device = multiply(
    multiply(about([0, 0, 1], alpha), about([1, 0, 0], beta)),
    about([0, 1, 0], gamma),
  );
  return multiply(device, about([0, 0, 1], -screen_deg));
}

export class Tilt {
  /** @type {Quaternion | null} of the screen when the eyes are in front of it */ #straight = null;
  #at_ms = 0;

  /** Take the next rotation for the one at which the eyes are in front of the screen. */
  center() {
    this.#straight = null;
  }

  /**
   * Return where the eyes are for a rotation of the screen.
   *
   * @param {Quaternion} rotation of `screenRotation`
   * @param {number} at_ms
   * @returns {Vector} direction from the middle of the screen: right, up, to the front; of length one
   */
  eyes(rotation, at_ms) {
    const before = this.#straight ?? rotation;
    const step_s = Math.min(Math.max(at_ms - this.#at_ms, 0) / 1000, LONGEST_STEP_S);
    this.#straight = towards(before, rotation, 1 - Math.exp(-step_s / RECENTER_S));
    this.#at_ms = at_ms;
    return rotate(multiply(inverse(rotation), this.#straight), [0, 0, 1]);
  }
}

/** @param {Vector} axis @param {number} angle_deg */
function about(axis, angle_deg) {
  return fromAxisAngle(axis, (angle_deg * Math.PI) / 180);
}

/**
 * Turn one rotation towards another by a share of the way.
 *
 * @param {Quaternion} from
 * @param {Quaternion} to
 * @param {number} share
 * @returns {Quaternion}
 */
function towards(from, to, share) {
  const side = from.reduce((sum, part, i) => sum + part * to[i], 0) < 0 ? -1 : 1; // q and -q are one
  const mixed = from.map((part, i) => part * (1 - share) + side * to[i] * share);
  const length = Math.hypot(...mixed);
  return /** @type {Quaternion} */ (mixed.map((part) => part / length));
}
