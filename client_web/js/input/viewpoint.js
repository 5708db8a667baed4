// From where the face is seen: the orbiting camera, or the viewer's own eyes while those are followed.

/**
 * @typedef {import("../connection/messages.js").Pose} Pose
 *
 * @typedef {object} View
 * @property {Pose} pose
 * @property {number | null} fov_y_rad full vertical angle; null for the avatar's own
 *
 * @typedef {(at_ms: number) => import("../reprojection/screen_window.js").WindowView | null} EyeView
 *   the view from the viewer's eyes at a time, null while they are not known
 */

export class Viewpoint {
  #orbit;
  /** @type {EyeView | null} */ #eyes = null;

  /** @param {Pick<import("./orbit.js").Orbit, "pose">} orbit */
  constructor(orbit) {
    this.#orbit = orbit;
  }

  /**
   * Follow the viewer's eyes, or the orbiting camera again.
   *
   * @param {EyeView | null} eyes
   */
  follow(eyes) {
    this.#eyes = eyes;
  }

  /** @returns {boolean} whether the viewer's eyes decide, so that the view may change by itself */
  get following() {
    return this.#eyes !== null;
  }

  /**
   * Return the view at a time.
   *
   * @param {number} at_ms
   * @returns {View}
   */
  view(at_ms) {
    return this.#eyes?.(at_ms) ?? { pose: this.#orbit.pose(), fov_y_rad: null };
  }
}
