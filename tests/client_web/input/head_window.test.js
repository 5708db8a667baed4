import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { HeadWindow } from "../../../client_web/js/input/head_window.js";

const HOME = [0, 0.03, 0.7];
const FOV_RAD = 0.4;
const SIDE_M = 2 * 0.7 * Math.tan(FOV_RAD / 2);

let head;
beforeEach(() => {
  head = new HeadWindow();
  head.setHome(HOME, FOV_RAD);
  head.side_px = 1000;
  head.pixel_m = SIDE_M / 1000; // life size
});

const close = (got, expected) => {
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(got[i] - value) < 1e-6, `expected ${expected}, got ${got}`);
  }
};

test("eyes straight ahead at the avatar's default distance give its default view", () => {
  close(head.view([0, 0, -0.7]).pose.position, HOME);
});

test("leaning to one's left moves the eye to the left of the screen", () => {
  // In the camera's space +X is the viewer's left; on the screen it is -X.
  close(head.view([0.1, 0, -0.69]).pose.position, [-0.1, 0.03, 0.69]);
});

test("a camera above the screen is calibrated by centring once", () => {
  head.center([0.02, -0.2, -0.6]);
  close(head.view([0.02, -0.2, -0.7]).pose.position, HOME);
  close(head.view([0.02, -0.15, -0.7]).pose.position, [0, 0.08, 0.7]);
});

test("a face shown below life size is viewed from a proportionally larger distance", () => {
  head.pixel_m = SIDE_M / 1000 / 1.2;
  close(head.view([0, 0, -0.7]).pose.position, [0, 0.03, 0.84]);
});

test("angles and distances stay within the range that avatars are trained for", () => {
  const [x, y, z] = head.view([-5, 0, -0.7]).pose.position;
  close([Math.atan2(x, z)], [(50 * Math.PI) / 180]);
  assert.ok(Math.abs(Math.hypot(x, y - 0.03, z) - 1.4 * 0.7) < 1e-6);
  const near = head.view([0, 0, -0.1]).pose.position;
  close(near, [0, 0.03, 0.75 * 0.7]);
});

test("eyes in a direction view the face from there at the avatar's default distance", () => {
  head.center([0.02, -0.2, -0.6]); // the calibration of a camera, which has no effect here
  head.pixel_m = SIDE_M / 1000 / 4; // a phone
  const yaw_rad = 0.3;
  const eyes = head.eyesTowards([Math.sin(yaw_rad), 0, Math.cos(yaw_rad)]);
  const { position } = head.view(eyes).pose;
  close(position, [0.7 * Math.sin(yaw_rad), 0.03, 0.7 * Math.cos(yaw_rad)]);
});

test("an eye of a headset has the tracked position, within the range that avatars are trained for", () => {
  close(head.home, HOME);
  close(head.viewFrom([0, 0, 0]).pose.position, HOME);
  close(head.viewFrom([0.0315, 0.05, -0.1]).pose.position, [0.0315, 0.08, 0.6]);
  const { position } = head.viewFrom([3, 0, -0.7]).pose; // beside the face
  assert.ok(Math.abs(Math.atan2(position[0], position[2]) - (50 * Math.PI) / 180) < 1e-6);
});
