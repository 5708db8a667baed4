// From tracked frames to the faces of an avatar: calibration, mirror, filter, and what happens while
// the face is lost. Independent of the server.

import { mirroredName } from "./arkit.js";
import { Calibration } from "./calibration.js";
import { FaceFilter } from "./face_filter.js";
import { cameraPose, headPose, mirroredPose } from "./head_pose.js";
import { Presence } from "./presence.js";

/**
 * @typedef {import("./face_filter.js").FacePose} FacePose
 * @typedef {import("./detection.js").Face} Face
 */

export class FaceDriver {
  #filter = new FaceFilter();
  #presence = new Presence();
  #mirrored = true;

  /** The person's neutral face. */
  calibration = new Calibration();

  /** @returns {boolean} whether the avatar moves as in a mirror: the person's left is its right */
  get mirrored() {
    return this.#mirrored;
  }

  set mirrored(mirrored) {
    this.#mirrored = mirrored;
    this.#filter.restart();
  }

  /** @returns {boolean} whether the face was seen before, but not in the last frame */
  get lost() {
    return this.#presence.lost;
  }

  /**
   * Return the face that the avatar shows for a tracked frame.
   *
   * @param {Face | null} face null if there is none in the frame
   * @param {number} capturedAt_ms
   * @returns {FacePose | null} null if nothing is to be sent
   */
  next(face, capturedAt_ms) {
    if (!face) return this.#presence.show(null, capturedAt_ms);
    if (this.lost) this.#filter.restart();
    this.calibration.add(face);
    const pose = this.#relative(face);
    const smooth = this.#filter.filter(this.#mirrored ? mirror(pose) : pose, capturedAt_ms / 1000);
    return this.#presence.show(smooth, capturedAt_ms);
  }

  /**
   * @param {Face} face
   * @returns {FacePose}
   */
  #relative({ coefficients, matrix }) {
    const { calibration } = this;
    return {
      expression: calibration.relative(coefficients),
      head: headPose(cameraPose(matrix), calibration.rest),
    };
  }
}

/**
 * @param {FacePose} pose
 * @returns {FacePose}
 */
function mirror({ expression, head }) {
  const entries = Object.entries(expression).map(([name, value]) => [mirroredName(name), value]);
  return { expression: Object.fromEntries(entries), head: mirroredPose(head) };
}
