import assert from "node:assert/strict";
import { test } from "node:test";

import {
  FARTHEST,
  NEAREST,
  Orbit,
  PITCH_LIMIT_RAD,
  YAW_LIMIT_RAD,
} from "../../../client_web/js/input/orbit.js";
import { rotate } from "../../../client_web/js/reprojection/quaternion.js";

function close(actual, expected, tolerance = 1e-9) {
  const distance = Math.hypot(...actual.map((value, i) => value - expected[i]));
  assert.ok(distance < tolerance, `expected ${expected}, got ${actual}`);
}

function orbitAt(eye) {
  const orbit = new Orbit();
  orbit.setHome(eye);
  return orbit;
}

test("at rest the eye is at the avatar's default viewpoint and looks straight ahead", () => {
  const { rotation, position } = orbitAt([0, -0.03, 0.62]).pose();
  close(rotation, [0, 0, 0, 1]);
  close(position, [0, -0.03, 0.62]);
});

test("the eye always looks at the centre of the orbit", () => {
  const orbit = orbitAt([0, -0.03, 0.7]);
  orbit.turn(0.6, -0.3);
  const { rotation, position } = orbit.pose();
  const ahead = rotate(rotation, [0, 0, -0.7]);
  close(
    position.map((value, i) => value + ahead[i]),
    [0, -0.03, 0],
  );
  close([Math.hypot(...rotation)], [1]);
});

test("positive yaw goes to +X, positive pitch goes up", () => {
  const orbit = orbitAt([0, 0, 1]);
  orbit.turn(0.5, 0.2);
  close(orbit.pose().position, [
    Math.sin(0.5) * Math.cos(0.2),
    Math.sin(0.2),
    Math.cos(0.5) * Math.cos(0.2),
  ]);
});

test("the view stays within its limits", () => {
  const orbit = orbitAt([0, 0, 1]);
  orbit.turn(9, -9);
  assert.equal(orbit.yaw_rad, YAW_LIMIT_RAD);
  assert.equal(orbit.pitch_rad, -PITCH_LIMIT_RAD);
  orbit.zoomBy(100, { atOnce: true });
  assert.equal(orbit.zoom, FARTHEST);
  orbit.zoomBy(1e-4, { atOnce: true });
  assert.equal(orbit.zoom, NEAREST);
});

test("a released drag glides on, slows down and comes to rest", () => {
  const orbit = orbitAt([0, 0, 1]);
  orbit.throw(1, 0);
  orbit.step(0.1);
  const first = orbit.yaw_rad;
  orbit.step(0.1);
  const second = orbit.yaw_rad - first;
  assert.ok(first > 0.09 && second > 0 && second < first, `${first}, ${second}`);
  for (let i = 0; i < 20; i++) orbit.step(0.1);
  assert.equal(orbit.moving, false);
});

test("a new drag ends the glide", () => {
  const orbit = orbitAt([0, 0, 1]);
  orbit.throw(1, 1);
  orbit.turn(0, 0);
  assert.equal(orbit.moving, false);
});

test("a held key moves at one speed for as long as it is held", () => {
  const orbit = orbitAt([0, 0, 1]);
  orbit.hold({ yaw: 1, pitch: 0, zoom: 0 });
  orbit.step(0.1);
  const first = orbit.yaw_rad;
  orbit.step(0.1);
  close([orbit.yaw_rad - first], [first]);
  orbit.hold({ yaw: 0, pitch: 0, zoom: 0 });
  for (let i = 0; i < 20; i++) orbit.step(0.1);
  assert.equal(orbit.moving, false);
});

test("a held zoom key zooms in up to the limit", () => {
  const orbit = orbitAt([0, 0, 1]);
  orbit.hold({ yaw: 0, pitch: 0, zoom: -1 });
  for (let i = 0; i < 40; i++) orbit.step(0.1);
  assert.equal(orbit.zoom, NEAREST);
});

test("resetting ends exactly in front, at the avatar's default distance", () => {
  const orbit = orbitAt([0, 0, 0.7]);
  orbit.turn(0.7, -0.4);
  orbit.zoomBy(1.3, { atOnce: true });
  orbit.goHome();
  assert.equal(orbit.moving, true);
  for (let i = 0; i < 200 && orbit.moving; i++) orbit.step(1 / 60);
  assert.equal(orbit.moving, false);
  assert.deepEqual(orbit.pose().position, [0, 0, 0.7]);
});
