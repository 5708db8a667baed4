import assert from "node:assert/strict";
import { test } from "node:test";

import { inverse, rotate } from "../../../client_web/js/reprojection/quaternion.js";
import {
  cssTransform,
  homeWindow,
  imageToWindow,
  viewThrough,
  windowToImage,
} from "../../../client_web/js/reprojection/screen_window.js";

const HOME = [0.01, 0.03, 0.7];
const FOV_RAD = 0.4;
const WINDOW = homeWindow(HOME, FOV_RAD);
const EYES = [HOME, [0.3, 0.1, 0.6], [-0.4, -0.15, 0.5], [0.05, 0.3, 0.9]];

/** The projection of a world point into the image of a symmetric view, -1..1. */
function project({ pose, fov_y_rad }, point) {
  const offset = point.map((part, i) => part - pose.position[i]);
  const [x, y, z] = rotate(inverse(pose.rotation), offset);
  const edge = Math.tan(fov_y_rad / 2);
  return [x / -z / edge, y / -z / edge];
}

function apply([a, b, c, d, e, f, g, h, i], [x, y]) {
  const w = g * x + h * y + i;
  return [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
}

/** The intersection of the line from the eye to a world point with the window, -1..1. */
function crossing(eye, point) {
  const [cx, cy, cz] = WINDOW.center;
  const share = (cz - eye[2]) / (point[2] - eye[2]);
  const at = [0, 1].map((i) => eye[i] + share * (point[i] - eye[i]));
  return [(at[0] - cx) / WINDOW.half_m, (at[1] - cy) / WINDOW.half_m];
}

const close = (got, expected, tolerance = 1e-9) => {
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(got[i] - value) < tolerance, `expected ${expected}, got ${got}`);
  }
};

test("the avatar's default view fills the window except the margin", () => {
  const view = viewThrough(HOME, WINDOW);
  close(view.pose.rotation, [0, 0, 0, 1]);
  close([Math.tan(view.fov_y_rad / 2) / Math.tan(FOV_RAD / 2)], [1.02]);
});

test("points before, in and behind the window are projected onto it from the eye", () => {
  for (const eye of EYES) {
    const view = viewThrough(eye, WINDOW);
    const map = imageToWindow(view, WINDOW);
    for (const point of [
      [0.02, 0.05, 0.12],
      [-0.1, 0.1, 0],
      [0.09, -0.08, -0.3],
    ]) {
      close(apply(map, project(view, point)), crossing(eye, point));
    }
  }
});

test("the image covers the whole window from any side", () => {
  for (const eye of EYES) {
    const view = viewThrough(eye, WINDOW);
    const [cx, cy, cz] = WINDOW.center;
    for (const sx of [-1, 1]) {
      for (const sy of [-1, 1]) {
        const corner = [cx + sx * WINDOW.half_m, cy + sy * WINDOW.half_m, cz];
        for (const part of project(view, corner)) assert.ok(Math.abs(part) < 1);
      }
    }
  }
});

test("the CSS transform maps pixels as the homography maps points", () => {
  const view = viewThrough([0.3, 0.1, 0.6], WINDOW);
  const map = imageToWindow(view, WINDOW);
  const side_px = 640;
  const text = cssTransform(map, side_px);
  const m = text.slice("matrix3d(".length, -1).split(", ").map(Number);
  for (const [x, y] of [
    [0.3, -0.7],
    [-0.9, 0.2],
  ]) {
    const [px, py] = [(x * side_px) / 2, (-y * side_px) / 2];
    const w = m[3] * px + m[7] * py + m[15];
    const moved = [(m[0] * px + m[4] * py + m[12]) / w, (m[1] * px + m[5] * py + m[13]) / w];
    const [tx, ty] = apply(map, [x, y]);
    close(moved, [(tx * side_px) / 2, (-ty * side_px) / 2], 1e-3);
  }
});

test("a point of the window is projected into the image in front of the eye", () => {
  const [cx, cy, cz] = WINDOW.center;
  for (const eye of EYES) {
    const view = viewThrough(eye, WINDOW);
    const map = windowToImage(view, WINDOW);
    for (const [x, y] of [
      [0, 0],
      [0.7, -0.4],
      [-1, 1],
    ]) {
      const point = [cx + x * WINDOW.half_m, cy + y * WINDOW.half_m, cz];
      close(apply(map, [x, y]), project(view, point));
      close(apply(imageToWindow(view, WINDOW), apply(map, [x, y])), [x, y]);
      assert.ok(map[6] * x + map[7] * y + map[8] > 0);
    }
  }
});
