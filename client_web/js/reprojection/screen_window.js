// The screen as a window onto the face: off-axis projection for an eye anywhere in front of it.
// Kooima, "Generalized Perspective Projection", 2009.
//
// The server renders symmetric views, with the camera turned towards the middle of the window. Such a
// view and the off-axis view of the same eye differ by a rotation of the camera only, so a homography
// of the image turns one into the other exactly, at every depth.

import { fromYawPitchRoll, inverse, rotate } from "./quaternion.js";

const MARGIN = 1.02; // the rendered view is this much larger than the window, so that no edge shows

/**
 * @typedef {import("../connection/messages.js").Vector} Vector
 * @typedef {import("../connection/messages.js").Pose} Pose
 *
 * @typedef {object} ScreenWindow a square in the avatar's world, parallel to X and Y, seen from +Z
 * @property {Vector} center metres
 * @property {number} half_m half of its side
 *
 * @typedef {object} WindowView a symmetric view that contains the window
 * @property {Pose} pose
 * @property {number} fov_y_rad full vertical angle; the image is square
 *
 * @typedef {readonly number[]} Homography 3 x 3 by rows
 */

/**
 * Return the window that the avatar's own view fills exactly.
 *
 * @param {Vector} home the avatar's own eye position, which looks straight ahead; metres
 * @param {number} fov_y_rad the avatar's own
 * @returns {ScreenWindow}
 */
export function homeWindow([x, y, z], fov_y_rad) {
  return { center: [x, y, 0], half_m: z * Math.tan(fov_y_rad / 2) };
}

/**
 * Return the smallest symmetric view from an eye that contains the window.
 *
 * @param {Vector} eye metres, in front of the window
 * @param {ScreenWindow} window
 * @returns {WindowView}
 */
export function viewThrough(eye, window) {
  const back = difference(eye, window.center);
  const yaw_rad = Math.atan2(back[0], back[2]);
  const pitch_rad = Math.atan2(back[1], Math.hypot(back[0], back[2]));
  const rotation = fromYawPitchRoll(yaw_rad, -pitch_rad);
  const pose = { rotation, position: eye };
  let edge = 0;
  for (const [x, y] of corners(window)) {
    const [u, v] = inCamera(pose, [x, y, window.center[2]]);
    edge = Math.max(edge, Math.abs(u), Math.abs(v));
  }
  return { pose, fov_y_rad: 2 * Math.atan(edge * MARGIN) };
}

/**
 * Return where the points of a view's image lie in the window.
 *
 * @param {WindowView} view
 * @param {ScreenWindow} window
 * @returns {Homography} from the image (x right, y up, -1..1) to the window (likewise)
 */
export function imageToWindow({ pose, fov_y_rad }, window) {
  const edge = Math.tan(fov_y_rad / 2);
  const right = rotate(pose.rotation, [edge, 0, 0]);
  const up = rotate(pose.rotation, [0, edge, 0]);
  const ahead = rotate(pose.rotation, [0, 0, -1]);
  const [x, y, z] = difference(pose.position, window.center);
  // The ray of an image point (u, v) is u * right + v * up + ahead; it meets the plane of the window
  // after -z / ray_z times its length. Multiplied by ray_z, that is linear in (u, v, 1).
  const rays = [right, up, ahead];
  return [
    ...rays.map((ray) => (x * ray[2] - z * ray[0]) / window.half_m),
    ...rays.map((ray) => (y * ray[2] - z * ray[1]) / window.half_m),
    ...rays.map((ray) => ray[2]),
  ].map((part) => part / ahead[2]);
}

/**
 * Return where the points of the window lie in a view's image: the inverse of `imageToWindow`.
 *
 * @param {WindowView} view
 * @param {ScreenWindow} window
 * @returns {Homography} from the window (x right, y up, -1..1) to the image (likewise); the third
 *   coordinate is positive in front of the eye
 */
export function windowToImage({ pose, fov_y_rad }, { center, half_m }) {
  const edge = Math.tan(fov_y_rad / 2);
  const turn = inverse(pose.rotation);
  const columns = [
    rotate(turn, [half_m, 0, 0]),
    rotate(turn, [0, half_m, 0]),
    rotate(turn, difference(center, pose.position)),
  ];
  return [
    ...columns.map(([x]) => x),
    ...columns.map(([, y]) => y),
    ...columns.map(([, , z]) => -z * edge),
  ];
}

/**
 * Write a homography as a CSS transform about the middle of a square element.
 *
 * @param {Homography} map from -1..1 to -1..1, y up
 * @param {number} side_px of the element, CSS pixels
 * @returns {string}
 */
export function cssTransform([a, b, c, d, e, f, g, h, i], side_px) {
  const half = side_px / 2; // CSS counts y downwards
  const columns = [
    [a, -d, 0, g / half],
    [-b, e, 0, -h / half],
    [0, 0, 1, 0],
    [c * half, -f * half, 0, i],
  ];
  return `matrix3d(${columns.flat().map(decimal).join(", ")})`;
}

/** @param {ScreenWindow} window */
function corners({ center: [x, y], half_m }) {
  return [
    [x - half_m, y - half_m],
    [x + half_m, y - half_m],
    [x - half_m, y + half_m],
    [x + half_m, y + half_m],
  ];
}

/**
 * Project a point; returns its tangents to the right and up.
 *
 * @param {Pose} pose
 * @param {Vector} point
 */
function inCamera({ rotation, position }, point) {
  const [right, up, back] = rotate(inverse(rotation), difference(point, position));
  return [right / -back, up / -back];
}

/**
 * @param {Vector} a
 * @param {Vector} b
 * @returns {Vector}
 */
function difference(a, b) {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

/** CSS has no notation for exponents below e-7 in all browsers. @param {number} value */
function decimal(value) {
  return value.toFixed(9);
}
