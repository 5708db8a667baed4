import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { fromYawPitchRoll, multiply, rotate } from "../../../client_web/js/reprojection/quaternion.js";
import { reproject, seenFromHead } from "../../../client_web/js/reprojection/reprojection.js";
import { ShownPose } from "../../../client_web/js/timing/shown_pose.js";

const cases = JSON.parse(readFileSync(new URL("../reprojection.json", import.meta.url)));

test("points move as the Python twin moves them", () => {
  assert.equal(cases.length, 3);
  for (const { points, old, now, fov_y_rad, moved } of cases) {
    const ours = [];
    reproject(points.flat(), old, now, fov_y_rad, ours);
    const off = moved.flat().map((value, i) => Math.abs(value - ours[i]));
    assert.ok(Math.max(...off) < 2e-5, String(Math.max(...off)));
  }
});

test("an eye that has not moved sees the picture as it is", () => {
  const { points, old, fov_y_rad } = cases[1];
  const ours = [];
  reproject(points.flat(), old, old, fov_y_rad, ours);
  points.flat().forEach((value, i) => assert.ok(Math.abs(value - ours[i]) < 1e-6));
});

test("the tip of the nose moves farther than the ear and the other way", () => {
  const eye = (yaw) => ({
    rotation: [0, Math.sin(yaw / 2), 0, Math.cos(yaw / 2)],
    position: [0.78 * Math.sin(yaw), 0, 0.78 * Math.cos(yaw)],
  });
  const moved = [];
  reproject([0, 0, 0.45, 0], eye(0), eye(0.035), 0.4, moved);
  assert.ok(moved[0] < -0.003, "the eye goes right, so what is near goes left");
  assert.ok(moved[2] > 0.45, "what is behind the middle goes right");
});

test("head and eyes moved together leave the picture as it is", () => {
  const { points, old, now, fov_y_rad } = cases[1];
  const head = { rotation: fromYawPitchRoll(0.4, -0.2, 0.1), translation: [0.05, -0.02, 0.1] };
  const along = ({ rotation, position }) => ({
    rotation: multiply(head.rotation, rotation),
    position: rotate(head.rotation, position).map((place, k) => place + head.translation[k]),
  });
  const [atRest, moved] = [[], []];
  reproject(points.flat(), old, now, fov_y_rad, atRest);
  const [there, thereNow] = [old, now].map((eye) => seenFromHead(along(eye), head));
  reproject(points.flat(), there, thereNow, fov_y_rad, moved);
  atRest.forEach((value, i) => assert.ok(Math.abs(value - moved[i]) < 1e-9));
  assert.equal(seenFromHead(old, null), old);
});

const A = { rotation: [0, 0, 0, 1], position: [0, 0, 0.7] };
const B = { rotation: [0, 0, 0, 1], position: [0.1, 0, 0.7] };

test("a frame's pose is that of the view it was drawn for, once it is known", () => {
  const shown = new ShownPose();
  shown.viewSent(1, A);
  shown.viewSent(2, B);
  shown.reported({ rtp_timestamp: 90, view_seq: 1 });
  assert.equal(shown.pose, null);
  shown.displayed(90);
  assert.equal(shown.pose, A);
  assert.equal(shown.head, null);
  shown.displayed(180); // on screen before the server's report of it
  assert.equal(shown.pose, null);
  const head = { rotation: [0, 0, 0, 1], translation: [0, 0.01, 0] };
  shown.reported({ rtp_timestamp: 180, view_seq: 2, head });
  assert.equal(shown.head, head);
  assert.equal(shown.pose, B);
});

test("frames of the default view, of unknown views and of other sessions have no pose of ours", () => {
  const shown = new ShownPose();
  shown.reported({ rtp_timestamp: 1, view_seq: null });
  shown.reported({ rtp_timestamp: 2, view_seq: 7 });
  for (const rtp of [1, 2, 3, undefined]) {
    shown.displayed(rtp);
    assert.equal(shown.pose, null);
  }
  shown.viewSent(7, A);
  shown.displayed(2);
  assert.equal(shown.pose, A);
  shown.forget();
  assert.equal(shown.pose, null);
});

test("what is remembered does not grow without end", () => {
  const shown = new ShownPose();
  shown.viewSent(0, A);
  shown.reported({ rtp_timestamp: 0, view_seq: 0 });
  for (let i = 1; i < 1000; i++) shown.viewSent(i, B);
  shown.displayed(0);
  assert.equal(shown.pose, null);
});
