// Rotations as quaternions [x, y, z, w], the way every message writes them. Independent of cameras.

/** @typedef {import("../connection/messages.js").Quaternion} Quaternion */
/** @typedef {import("../connection/messages.js").Vector} Vector */

/**
 * Return the rotation about an axis.
 *
 * @param {Vector} axis of length one
 * @param {number} angle_rad counter-clockwise seen from the axis's tip
 * @returns {Quaternion}
 */
export function fromAxisAngle(axis, angle_rad) {
  const s = Math.sin(angle_rad / 2);
  return [axis[0] * s, axis[1] * s, axis[2] * s, Math.cos(angle_rad / 2)];
}

/**
 * Return the rotation that applies `b` first, then `a`.
 *
 * @param {Quaternion} a
 * @param {Quaternion} b
 * @returns {Quaternion}
 */
export function multiply(a, b) {
  const [ax, ay, az, aw] = a;
  const [bx, by, bz, bw] = b;
  return [
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
    aw * bw - ax * bx - ay * by - az * bz,
  ];
}

/**
 * Return the inverse rotation.
 *
 * @param {Quaternion} q of length one
 * @returns {Quaternion}
 */
export function inverse([x, y, z, w]) {
  return [-x, -y, -z, w];
}

/**
 * Rotate a vector.
 *
 * @param {Quaternion} q of length one
 * @param {Vector} v
 * @returns {Vector}
 */
export function rotate(q, v) {
  const [x, y, z, w] = q;
  const tx = 2 * (y * v[2] - z * v[1]);
  const ty = 2 * (z * v[0] - x * v[2]);
  const tz = 2 * (x * v[1] - y * v[0]);
  return [
    v[0] + w * tx + y * tz - z * ty,
    v[1] + w * ty + z * tx - x * tz,
    v[2] + w * tz + x * ty - y * tx,
  ];
}

/**
 * Return roll first, then pitch, then yaw.
 *
 * @param {number} yaw_rad about +Y
 * @param {number} pitch_rad about +X
 * @param {number} roll_rad about +Z
 * @returns {Quaternion}
 */
export function fromYawPitchRoll(yaw_rad, pitch_rad, roll_rad = 0) {
  const yaw = fromAxisAngle([0, 1, 0], yaw_rad);
  const pitch = fromAxisAngle([1, 0, 0], pitch_rad);
  return multiply(multiply(yaw, pitch), fromAxisAngle([0, 0, 1], roll_rad));
}
