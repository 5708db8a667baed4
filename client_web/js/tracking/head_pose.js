// From the tracker's matrix to the head pose of a mesh frame.
//
// Both spaces are right-handed, +X to the person's left (right in an image that is not mirrored), +Y
// up, +Z towards the camera. The tracker counts in centimetres from the camera, a mesh frame in metres
// from the place where the head rests.

import { inverse, multiply, rotate } from "../reprojection/quaternion.js";

/**
 * @typedef {import("../connection/messages.js").HeadPose} HeadPose
 * @typedef {import("../connection/messages.js").Quaternion} Quaternion
 * @typedef {import("../connection/messages.js").Vector} Vector
 */

export const M_PER_CM = 0.01;

/** Between the eyes in MediaPipe's face model: the origin of an avatar's head. Metres. */
export const EYES_M = /** @type {Vector} */ ([0, 0.026, 0.03]);

/** The base of the neck in the space of an avatar's head, about which heads turn. As on the server. */
const NECK_M = /** @type {Vector} */ ([0, -0.145, -0.118]);

/** The avatars have learned shifts of the neck of 3, 2 and 3 cm; beyond these limits none is sent. */
const MOST_SHIFT_M = /** @type {Vector} */ ([0.045, 0.03, 0.045]);

/** @type {HeadPose} */
export const REST = Object.freeze({ rotation: [0, 0, 0, 1], translation: [0, 0, 0] });

/**
 * @typedef {object} CameraPose the head in the space of the camera
 * @property {Quaternion} rotation
 * @property {Vector} neck_m position of the base of the neck
 */

/**
 * Read the tracker's matrix.
 *
 * @param {readonly number[]} matrix 4 x 4 by columns, centimetres
 * @returns {CameraPose}
 */
export function cameraPose(matrix) {
  const rotation = quaternionOf(matrix);
  const neck = rotate(rotation, add(EYES_M, NECK_M));
  const [x, y, z] = [matrix[12], matrix[13], matrix[14]].map((cm) => cm * M_PER_CM);
  return { rotation, neck_m: add(neck, [x, y, z]) };
}

/**
 * Return the head pose relative to where the head rests.
 *
 * @param {CameraPose} pose
 * @param {CameraPose} rest pose that counts as looking straight ahead
 * @returns {HeadPose}
 */
export function headPose(pose, rest) {
  const straighten = inverse(rest.rotation);
  const rotation = multiply(straighten, pose.rotation);
  const moved = rotate(straighten, subtract(pose.neck_m, rest.neck_m));
  const shift = /** @type {Vector} */ (moved.map((m, axis) => limited(m, MOST_SHIFT_M[axis])));
  // The neck goes where it was shifted: R neck + translation = neck + shift.
  return { rotation, translation: add(subtract(NECK_M, rotate(rotation, NECK_M)), shift) };
}

/**
 * Return the pose as a mirror shows it.
 *
 * @param {HeadPose} pose
 * @returns {HeadPose}
 */
export function mirroredPose({ rotation: [x, y, z, w], translation: [tx, ty, tz] }) {
  return { rotation: [x, -y, -z, w], translation: [-tx, ty, tz] };
}

/**
 * Interpolate two poses that are close to each other.
 *
 * @param {HeadPose} a
 * @param {HeadPose} b
 * @param {number} share of `b`
 * @returns {HeadPose}
 */
export function betweenPoses(a, b, share) {
  const sign = Math.sign(dot(a.rotation, b.rotation)) || 1;
  const rotation = a.rotation.map((part, i) => part + share * (sign * b.rotation[i] - part));
  const translation = a.translation.map((part, i) => part + share * (b.translation[i] - part));
  return { rotation: unit(rotation), translation: /** @type {Vector} */ (translation) };
}

/**
 * Return the average of poses that are close to each other.
 *
 * @param {readonly CameraPose[]} poses at least one
 * @returns {CameraPose}
 */
export function averagePose(poses) {
  const [first] = poses;
  const rotation = [0, 0, 0, 0];
  const neck_m = /** @type {Vector} */ ([0, 0, 0]);
  for (const pose of poses) {
    const sign = Math.sign(dot(first.rotation, pose.rotation)) || 1;
    for (const i of rotation.keys()) rotation[i] += sign * pose.rotation[i];
    for (const i of neck_m.keys()) neck_m[i] += pose.neck_m[i] / poses.length;
  }
  return { rotation: unit(rotation), neck_m };
}

/**
 * @param {readonly number[]} quaternion of any length but zero
 * @returns {Quaternion}
 */
export function unit(quaternion) {
  const length = Math.hypot(...quaternion);
  return /** @type {Quaternion} */ (quaternion.map((part) => part / length));
}

/**
 * Return the rotation of a matrix (Shepperd 1978: the largest part first, for accuracy).
 *
 * @param {readonly number[]} m 4 x 4 by columns; its columns may be scaled alike
 * @returns {Quaternion}
 */
export function quaternionOf(m) {
  const scale = Math.cbrt(determinant(m));
  /**
   * @param {number} row
   * @param {number} column
   */
  const at = (row, column) => m[column * 4 + row] / scale;
  const trace = at(0, 0) + at(1, 1) + at(2, 2);
  if (trace > 0) {
    const w = Math.sqrt(1 + trace) * 2;
    return unit([
      (at(2, 1) - at(1, 2)) / w,
      (at(0, 2) - at(2, 0)) / w,
      (at(1, 0) - at(0, 1)) / w,
      w / 4,
    ]);
  }
  const i = at(0, 0) > at(1, 1) && at(0, 0) > at(2, 2) ? 0 : at(1, 1) > at(2, 2) ? 1 : 2;
  const [j, k] = [(i + 1) % 3, (i + 2) % 3];
  const s = Math.sqrt(1 + at(i, i) - at(j, j) - at(k, k)) * 2;
  const parts = [0, 0, 0, (at(k, j) - at(j, k)) / s];
  parts[i] = s / 4;
  parts[j] = (at(j, i) + at(i, j)) / s;
  parts[k] = (at(k, i) + at(i, k)) / s;
  return unit(parts);
}

/** @param {readonly number[]} m */
function determinant(m) {
  return (
    m[0] * (m[5] * m[10] - m[6] * m[9]) -
    m[4] * (m[1] * m[10] - m[2] * m[9]) +
    m[8] * (m[1] * m[6] - m[2] * m[5])
  );
}

/**
 * Limit a value softly: small ones stay as they are.
 *
 * @param {number} value
 * @param {number} most
 */
function limited(value, most) {
  return most * Math.tanh(value / most);
}

/**
 * @param {readonly number[]} a
 * @param {readonly number[]} b
 */
function dot(a, b) {
  return a.reduce((sum, part, i) => sum + part * b[i], 0);
}

/**
 * @param {Vector} a
 * @param {Vector} b
 * @returns {Vector}
 */
function add(a, b) {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

/**
 * @param {Vector} a
 * @param {Vector} b
 * @returns {Vector}
 */
function subtract(a, b) {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}
