// The view of one person of a call: from the direction in which that person sees the viewer, moved by
// the viewer's own eyes.

import { fromYawPitchRoll, multiply, rotate } from "../reprojection/quaternion.js";
import { EyeFollower } from "./eye_follower.js";
import { HeadWindow } from "./head_window.js";
import { Orbit, PITCH_LIMIT_RAD, YAW_LIMIT_RAD } from "./orbit.js";

/**
 * @typedef {import("../connection/messages.js").Pose} Pose
 * @typedef {import("../connection/messages.js").Vector} Vector
 * @typedef {import("../reprojection/screen_window.js").WindowView} WindowView
 */

export class SeatView {
  /** @type {import("./table.js").Angles} */ #direction = { yaw_rad: 0, pitch_rad: 0 };
  /** @type {WeakMap<Pose, Pose>} the pose in the window's own space, by the turned one */
  #poses = new WeakMap();

  /** The view while the viewer's eyes are not known. */
  orbit = new Orbit();

  /** The tile as a window. */
  window = new HeadWindow();

  /** The viewer's eyes. */
  eyes = new EyeFollower(this.window);

  /**
   * Use the avatar's own view.
   *
   * @param {Vector} home eye position, metres
   * @param {number} fov_y_rad
   */
  setHome(home, fov_y_rad) {
    this.orbit.setHome(home);
    this.window.setHome(home, fov_y_rad);
  }

  /**
   * Set the direction in which the person sees the viewer.
   *
   * @param {import("./table.js").Angles} direction
   * @returns {boolean} whether it is another one
   */
  turnTo({ yaw_rad, pitch_rad }) {
    const before = this.#direction;
    if (yaw_rad === before.yaw_rad && pitch_rad === before.pitch_rad) return false;
    this.#direction = { yaw_rad, pitch_rad };
    this.orbit.turnTo(yaw_rad, pitch_rad);
    return true;
  }

  /**
   * Return the view from the viewer's eyes.
   *
   * @param {number} at_ms now
   * @returns {WindowView | null} null while they are not known: then the orbit has the view
   */
  view(at_ms) {
    const view = this.eyes.view(at_ms);
    if (!view) return null;
    const pose = this.#turned(view.pose);
    this.#poses.set(pose, view.pose);
    return { ...view, pose };
  }

  /**
   * Return the pose of a view in the space in which the window looks straight ahead.
   *
   * @param {Pose} pose of `view`
   * @returns {Pose | null} null for another pose
   */
  inWindow(pose) {
    return this.#poses.get(pose) ?? null;
  }

  /**
   * Turn a pose about the middle of the window, within the angles that avatars are trained for.
   *
   * @param {Pose} pose
   * @returns {Pose}
   */
  #turned({ rotation, position }) {
    const { center } = this.window.window;
    const offset = /** @type {Vector} */ (position.map((part, i) => part - center[i]));
    const yaw_rad = Math.atan2(offset[0], offset[2]);
    const pitch_rad = Math.atan2(offset[1], Math.hypot(offset[0], offset[2]));
    const turn = fromYawPitchRoll(
      within(this.#direction.yaw_rad, yaw_rad, YAW_LIMIT_RAD),
      -within(this.#direction.pitch_rad, pitch_rad, PITCH_LIMIT_RAD),
    );
    const [x, y, z] = rotate(turn, offset);
    return {
      rotation: multiply(turn, rotation),
      position: [x + center[0], y + center[1], z + center[2]],
    };
  }
}

/**
 * Shorten an angle so that the sum with another one stays within a limit.
 *
 * @param {number} angle_rad
 * @param {number} other_rad within the limit
 * @param {number} limit_rad
 */
function within(angle_rad, other_rad, limit_rad) {
  return Math.min(Math.max(angle_rad, -limit_rad - other_rad), limit_rad - other_rad);
}
