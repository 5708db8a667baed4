// Late reprojection: where the points of a frame move when the camera has moved since the frame was
// rendered. Video carries no depth, so every point is assumed to lie on an ellipsoid that stands for
// the head. The same functions in Python are in models/geometry/reprojection.py. Points are x to
// the right, y up,
// -1..1 across the frame.

import { inverse, multiply, rotate } from "./quaternion.js";

/** @typedef {import("../connection/messages.js").Quaternion} Quaternion */
/** @typedef {import("../connection/messages.js").Vector} Vector */
/** @typedef {import("../connection/messages.js").Pose} Pose */
/** @typedef {import("../connection/messages.js").HeadPose} HeadPose */

// The ellipsoid of the average head at rest, relative to the eyes.
/** @type {Vector} */ const HEAD_CENTRE_M = [0, -0.007, -0.082];
/** @type {Vector} */ const HEAD_RADII_M = [0.073, 0.152, 0.113];

/**
 * Move points from one camera's frame to another's.
 *
 * @param {ArrayLike<number>} points x and y alternating, in the old camera's frame
 * @param {Pose} old camera of the frame
 * @param {Pose} now camera to reproject to
 * @param {number} fov_y_rad of both
 * @param {Float32Array | number[]} moved receives x and y alternating
 */
export function reproject(points, old, now, fov_y_rad, moved) {
  const edge = Math.tan(fov_y_rad / 2);
  const [right, up, back] = axes(old.rotation);
  const [nowRight, nowUp, nowBack] = axes(now.rotation);
  const offset = difference(old.position, now.position);
  const distance = rayToHead(old.position);
  /** @type {Vector} */
  const ray = [0, 0, 0];
  for (let i = 0; i < points.length; i += 2) {
    const x = points[i] * edge;
    const y = points[i + 1] * edge;
    for (let k = 0; k < 3; k++) ray[k] = x * right[k] + y * up[k] - back[k];
    const far = distance(ray);
    for (let k = 0; k < 3; k++) ray[k] = offset[k] + far * ray[k];
    const depth = -dot(ray, nowBack) * edge;
    moved[i] = dot(ray, nowRight) / depth;
    moved[i + 1] = dot(ray, nowUp) / depth;
  }
}

/**
 * Return a camera relative to the head, as if the head were at rest: there is the ellipsoid.
 *
 * @param {Pose} eye
 * @param {HeadPose | null} head
 * @returns {Pose}
 */
export function relativeToHead(eye, head) {
  if (!head) return eye;
  const back = inverse(head.rotation);
  return {
    rotation: multiply(back, eye.rotation),
    position: rotate(back, difference(eye.position, head.translation)),
  };
}

/**
 * Return a function that gives the distance along a ray to the head. A ray that misses the head ends
 * where it comes closest to it, so that the frame is not torn at the outline.
 *
 * @param {Vector} eye where rays begin
 * @returns {(ray: Vector) => number}
 */
function rayToHead(eye) {
  const start = difference(eye, HEAD_CENTRE_M);
  for (let k = 0; k < 3; k++) start[k] /= HEAD_RADII_M[k];
  const outside = dot(start, start) - 1;
  return (ray) => {
    let a = 0;
    let b = 0;
    for (let k = 0; k < 3; k++) {
      const step = ray[k] / HEAD_RADII_M[k];
      a += step * step;
      b += step * start[k];
    }
    return (-b - Math.sqrt(Math.max(0, b * b - a * outside))) / a;
  };
}

/** @param {Quaternion} rotation */
function axes(rotation) {
  return [rotate(rotation, [1, 0, 0]), rotate(rotation, [0, 1, 0]), rotate(rotation, [0, 0, 1])];
}

/**
 * @param {Vector} a
 * @param {Vector} b
 * @returns {Vector}
 */
function difference(a, b) {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

/**
 * @param {Vector} a
 * @param {Vector} b
 */
function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
