// Late reprojection: where a picture's points go when the eye has moved on since it was drawn. What
// is seen is taken to lie on an ellipsoid that stands for the head, for no depth comes with a video.
// The twin of models/geometry/reprojection.py. Points are x to the right, y up, -1..1.

import { inverse, multiply, rotate } from "./quaternion.js";

/** @typedef {import("./quaternion.js").Vector} Vector */
/** @typedef {import("../input/orbit.js").Pose} Pose */

/** @type {Vector} */ const HEAD_CENTRE_M = [0, -0.007, -0.082];
/** @type {Vector} */ const HEAD_RADII_M = [0.073, 0.152, 0.113];

/**
 * @param {ArrayLike<number>} points x and y by turns, in the old eye's picture
 * @param {Pose} old whose picture it is
 * @param {Pose} now whose picture it is to look like
 * @param {number} fov_y_rad of both
 * @param {Float32Array | number[]} moved x and y by turns are written here
 */
export function reproject(points, old, now, fov_y_rad, moved) {
  const edge = Math.tan(fov_y_rad / 2);
  const [right, up, back] = axes(old.rotation);
  const [nowRight, nowUp, nowBack] = axes(now.rotation);
  const way = [0, 1, 2].map((k) => old.position[k] - now.position[k]);
  const distance = rayToHead(old.position);
  const ray = [0, 0, 0];
  for (let i = 0; i < points.length; i += 2) {
    const x = points[i] * edge;
    const y = points[i + 1] * edge;
    for (let k = 0; k < 3; k++) ray[k] = x * right[k] + y * up[k] - back[k];
    const far = distance(ray);
    for (let k = 0; k < 3; k++) ray[k] = way[k] + far * ray[k];
    const depth = -dot(ray, nowBack) * edge;
    moved[i] = dot(ray, nowRight) / depth;
    moved[i + 1] = dot(ray, nowUp) / depth;
  }
}

/**
 * Where an eye is for a head that has moved: the ellipsoid stands where the head is at rest.
 *
 * @param {Pose} eye
 * @param {{rotation: import("./quaternion.js").Quaternion, translation: Vector} | null} head
 * @returns {Pose}
 */
export function seenFromHead(eye, head) {
  if (!head) return eye;
  const back = inverse(head.rotation);
  const way = eye.position.map((place, k) => place - head.translation[k]);
  return { rotation: multiply(back, eye.rotation), position: rotate(back, way) };
}

/** Rays that miss the head end where they come closest to it: the picture must not be torn. */
function rayToHead(eye) {
  const start = eye.map((place, k) => (place - HEAD_CENTRE_M[k]) / HEAD_RADII_M[k]);
  const beyond = dot(start, start) - 1;
  return (ray) => {
    let a = 0;
    let b = 0;
    for (let k = 0; k < 3; k++) {
      const step = ray[k] / HEAD_RADII_M[k];
      a += step * step;
      b += step * start[k];
    }
    return (-b - Math.sqrt(Math.max(0, b * b - a * beyond))) / a;
  };
}

function axes(rotation) {
  return [rotate(rotation, [1, 0, 0]), rotate(rotation, [0, 1, 0]), rotate(rotation, [0, 0, 1])];
}

function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
