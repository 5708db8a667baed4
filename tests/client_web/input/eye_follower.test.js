import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { EyeFollower } from "../../../client_web/js/input/eye_follower.js";
import { HeadWindow } from "../../../client_web/js/input/head_window.js";
import { Orbit } from "../../../client_web/js/input/orbit.js";
import { Viewpoint } from "../../../client_web/js/input/viewpoint.js";

const HOME = [0, 0.03, 0.7];
const LEFT = [0.2, 0, -0.65]; // eyes on the viewer's left, in camera space

let follower;
beforeEach(() => {
  const window = new HeadWindow();
  window.setHome(HOME, 0.4);
  window.side_px = 1000;
  window.pixel_m = (2 * 0.7 * Math.tan(0.2)) / 1000;
  follower = new EyeFollower(window);
});

/** Eyes at rest, seen at 30 frames per second. */
function watch(from_ms, to_ms) {
  for (let at_ms = from_ms; at_ms < to_ms; at_ms += 33) {
    follower.measured(LEFT, at_ms);
    follower.view(at_ms);
  }
}

const x = (at_ms) => follower.view(at_ms).pose.position[0];

test("without a face there is no view", () => {
  assert.equal(follower.view(0), null);
});

test("the view moves from the avatar's default to the eyes without a jump", () => {
  follower.measured(LEFT, 0);
  assert.ok(Math.abs(x(16)) < 0.01);
  watch(33, 1000);
  assert.ok(Math.abs(x(1000) + 0.2) < 0.01, String(x(1000)));
});

test("a face that is briefly hidden does not move the view", () => {
  watch(0, 1000);
  assert.ok(Math.abs(x(1800) + 0.2) < 0.01);
});

test("after a lost face the view returns to the avatar's default, then ends", () => {
  watch(0, 1000);
  for (let at_ms = 1000; at_ms < 2300; at_ms += 16) follower.view(at_ms);
  const halfway = x(2300);
  assert.ok(halfway > -0.19 && halfway < -0.01, String(halfway));
  for (let at_ms = 2300; at_ms < 2700; at_ms += 16) follower.view(at_ms);
  assert.equal(follower.view(2700), null);
});

test("after a release the view returns at once", () => {
  watch(0, 1000);
  follower.release();
  for (let at_ms = 1000; at_ms < 1700; at_ms += 16) follower.view(at_ms);
  assert.equal(follower.view(1700), null);
});

test("the viewpoint is that of the eyes while they are known, otherwise the orbiting camera's", () => {
  const orbit = new Orbit();
  const viewpoint = new Viewpoint(orbit);
  viewpoint.follow((at_ms) => follower.view(at_ms));
  assert.deepEqual(viewpoint.view(0), { pose: orbit.pose(), fov_y_rad: null });
  assert.equal(viewpoint.following, false);
  watch(0, 1000);
  const { pose, fov_y_rad } = viewpoint.view(1000);
  assert.ok(pose.position[0] < -0.19 && fov_y_rad > 0.3);
  assert.equal(viewpoint.following, true);
  viewpoint.follow(null);
  assert.equal(viewpoint.following, false);
});
