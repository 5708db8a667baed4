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
  #following = false;

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
    this.#following = false;
  }

  /** @returns {boolean} whether the last view was that from the eyes, which change by themselves */
  get following() {
    return this.#following;
  }

  /**
   * Return the view at a time.
   *
   * @param {number} at_ms
   * @returns {View}
   */
  view(at_ms) {
    const view = this.#eyes?.(at_ms) ?? null;
    this.#following = view !== null;
    return view ?? { pose: this.#orbit.pose(), fov_y_rad: null };
  }
}
