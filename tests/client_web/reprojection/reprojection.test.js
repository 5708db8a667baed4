import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  fromYawPitchRoll,
  multiply,
  rotate,
} from "../../../client_web/js/reprojection/quaternion.js";
import { relativeToHead, reproject } from "../../../client_web/js/reprojection/reprojection.js";

const cases = JSON.parse(readFileSync(new URL("../reprojection.json", import.meta.url)));

test("points move as by the same functions in Python", () => {
  assert.equal(cases.length, 3);
  for (const { points, old, now, fov_y_rad, moved } of cases) {
    const actual = [];
    reproject(points.flat(), old, now, fov_y_rad, actual);
    const off = moved.flat().map((value, i) => Math.abs(value - actual[i]));
    assert.ok(Math.max(...off) < 2e-5, String(Math.max(...off)));
  }
});

test("an unmoved camera leaves the frame unchanged", () => {
  const { points, old, fov_y_rad } = cases[1];
  const actual = [];
  reproject(points.flat(), old, old, fov_y_rad, actual);
  for (const [i, value] of points.flat().entries()) assert.ok(Math.abs(value - actual[i]) < 1e-6);
});

test("the tip of the nose moves farther than the ear and the other way", () => {
  const eye = (yaw) => ({
    rotation: [0, Math.sin(yaw / 2), 0, Math.cos(yaw / 2)],
    position: [0.78 * Math.sin(yaw), 0, 0.78 * Math.cos(yaw)],
  });
  const moved = [];
  reproject([0, 0, 0.45, 0], eye(0), eye(0.035), 0.4, moved);
  assert.ok(moved[0] < -0.003, "the eye moves right, so near points move left");
  assert.ok(moved[2] > 0.45, "points behind the middle move right");
});

test("head and camera moved together leave the frame unchanged", () => {
  const { points, old, now, fov_y_rad } = cases[1];
  const head = { rotation: fromYawPitchRoll(0.4, -0.2, 0.1), translation: [0.05, -0.02, 0.1] };
  const along = ({ rotation, position }) => ({
    rotation: multiply(head.rotation, rotation),
    position: rotate(head.rotation, position).map((value, k) => value + head.translation[k]),
  });
  const [atRest, moved] = [[], []];
  reproject(points.flat(), old, now, fov_y_rad, atRest);
  const [there, thereNow] = [old, now].map((eye) => relativeToHead(along(eye), head));
  reproject(points.flat(), there, thereNow, fov_y_rad, moved);
  for (const [i, value] of atRest.entries()) assert.ok(Math.abs(value - moved[i]) < 1e-9);
  assert.equal(relativeToHead(old, null), old);
});
