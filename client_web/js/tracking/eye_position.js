// Where a tracked person's eyes are.

import { rotate } from "../reprojection/quaternion.js";
import { EYES_M, M_PER_CM, quaternionOf } from "./head_pose.js";

/**
 * Return the point between the eyes.
 *
 * @param {readonly number[]} matrix the tracker's, 4 x 4 by columns, centimetres
 * @returns {import("../connection/messages.js").Vector} in the space of the camera: +X to the person's
 *   left, +Y up, the person at -Z; metres
 */
export function eyePosition(matrix) {
  const [x, y, z] = rotate(quaternionOf(matrix), EYES_M);
  return [x + matrix[12] * M_PER_CM, y + matrix[13] * M_PER_CM, z + matrix[14] * M_PER_CM];
}
