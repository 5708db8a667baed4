import assert from "node:assert/strict";
import { test } from "node:test";

import { rotate } from "../../../client_web/js/reprojection/quaternion.js";
import {
  averagePose,
  betweenPoses,
  cameraPose,
  headPose,
  mirroredPose,
} from "../../../client_web/js/tracking/head_pose.js";
import { near, turned } from "./faces.js";

const STRAIGHT = cameraPose(turned({}));

test("rotations keep their direction and size", () => {
  // Turned to the person's left: the nose, +Z, points to +X, right in an image that is not mirrored.
  const left = headPose(cameraPose(turned({ yaw: 0.5 })), STRAIGHT);
  near(rotate(left.rotation, [0, 0, 1]), [Math.sin(0.5), 0, Math.cos(0.5)]);
  const down = headPose(cameraPose(turned({ pitch: 0.3 })), STRAIGHT);
  near(rotate(down.rotation, [0, 0, 1]), [0, -Math.sin(0.3), Math.cos(0.3)]);
  const tilted = headPose(cameraPose(turned({ roll: 0.2 })), STRAIGHT);
  near(rotate(tilted.rotation, [0, 1, 0]), [-Math.sin(0.2), Math.cos(0.2), 0]);
});

test("large and small rotations are read", () => {
  for (const yaw of [-3, -2, 2, 3]) {
    const { rotation } = cameraPose(turned({ yaw }));
    near(rotate(rotation, [0, 0, 1]), [Math.sin(yaw), 0, Math.cos(yaw)]);
  }
  for (const pitch of [-3, 3]) {
    const { rotation } = cameraPose(turned({ pitch }));
    near(rotate(rotation, [0, 0, 1]), [0, -Math.sin(pitch), Math.cos(pitch)]);
  }
});

test("a head at rest is at the origin, independent of its distance to the camera", () => {
  const far = cameraPose(turned({ at_cm: [12, -5, -80] }));
  assert.deepEqual(headPose(far, far).translation.map(Math.abs), [0, 0, 0]);
  near(headPose(far, far).rotation, [0, 0, 0, 1]);
});

test("centimetres become metres", () => {
  const moved = cameraPose(turned({ at_cm: [1, 0.5, -49] }));
  near(headPose(moved, STRAIGHT).translation, [0.01, 0.005, 0.01], 3e-4);
});

test("a nodding head turns about the neck: the eyes move forward and down", () => {
  // A person who nods keeps the base of the neck where it is: 0.145 below and 0.118 behind the eyes.
  const pitch = 0.3;
  const neck_cm = [0, 2.6 - 14.5, 3 - 11.8];
  const [, y, z] = rotate(cameraPose(turned({ pitch })).rotation, neck_cm);
  const at_cm = [0, neck_cm[1] - y, -50 + neck_cm[2] - z];
  const { translation } = headPose(cameraPose(turned({ pitch, at_cm })), STRAIGHT);
  assert.ok(translation[2] > 0.025, `forward: ${translation}`);
  assert.ok(translation[1] < -0.02, `down: ${translation}`);
});

test("the translation of a head is clamped to the range of the avatar", () => {
  const away = cameraPose(turned({ at_cm: [40, 30, -10] }));
  const { translation } = headPose(away, STRAIGHT);
  for (const [axis, most] of [0.045, 0.03, 0.045].entries()) {
    assert.ok(translation[axis] > most * 0.9 && translation[axis] <= most, `${translation}`);
  }
});

test("a calibrated pose counts as straight for the position of the camera", () => {
  // The camera is below: a person who looks straight ahead appears to look up.
  const rest = cameraPose(turned({ pitch: -0.25, at_cm: [3, 4, -60] }));
  near(headPose(rest, rest).rotation, [0, 0, 0, 1]);
  // Two centimetres up along the tilted axis of the face are up.
  const up = cameraPose(
    turned({ pitch: -0.25, at_cm: [3, 4 + 2 * Math.cos(0.25), -60 - 2 * Math.sin(0.25)] }),
  );
  const { translation } = headPose(up, rest);
  near(translation, [0, 0.03 * Math.tanh(2 / 3), 0], 1e-6);
});

test("mirroring swaps left and right and keeps up and down", () => {
  const pose = headPose(cameraPose(turned({ yaw: 0.4, pitch: 0.2, roll: 0.1 })), STRAIGHT);
  const seen = mirroredPose(pose);
  const [x, y, z] = rotate(pose.rotation, [0, 0, 1]);
  near(rotate(seen.rotation, [0, 0, 1]), [-x, y, z]);
  const [ux, uy, uz] = rotate(pose.rotation, [0, 1, 0]);
  near(rotate(seen.rotation, [0, 1, 0]), [-ux, uy, uz]);
  near(seen.translation, [-pose.translation[0], pose.translation[1], pose.translation[2]]);
  near(mirroredPose(seen).rotation, pose.rotation);
});

test("averages and interpolations of poses take the shorter arc", () => {
  const pose = cameraPose(turned({ yaw: 0.2 }));
  const negated = { ...pose, rotation: pose.rotation.map((part) => -part) };
  near(averagePose([pose, negated]).rotation, pose.rotation);
  const head = { rotation: pose.rotation, translation: [0, 0, 0] };
  const same = { rotation: negated.rotation, translation: [0.02, 0, 0] };
  near(betweenPoses(head, same, 0.5).rotation, pose.rotation);
  near(betweenPoses(head, same, 0.5).translation, [0.01, 0, 0]);
});
