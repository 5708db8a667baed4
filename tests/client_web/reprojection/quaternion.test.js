import assert from "node:assert/strict";
import { test } from "node:test";

import {
  fromAxisAngle,
  fromYawPitchRoll,
  multiply,
  rotate,
} from "../../../client_web/js/reprojection/quaternion.js";

function close(actual, expected) {
  for (const [i, value] of actual.entries())
    assert.ok(Math.abs(value - expected[i]) < 1e-12, `${actual}`);
}

test("a quarter turn about +Y takes +Z to +X", () => {
  close(rotate(fromAxisAngle([0, 1, 0], Math.PI / 2), [0, 0, 1]), [1, 0, 0]);
});

test("a product applies its right factor first", () => {
  const yaw = fromAxisAngle([0, 1, 0], Math.PI / 2);
  const roll = fromAxisAngle([0, 0, 1], Math.PI / 2);
  close(rotate(multiply(yaw, roll), [1, 0, 0]), [0, 1, 0]);
  close(rotate(multiply(roll, yaw), [1, 0, 0]), [0, 0, -1]);
});

test("yaw is applied after pitch", () => {
  const q = fromYawPitchRoll(Math.PI / 2, -Math.PI / 6);
  close(rotate(q, [0, 0, 1]), [Math.cos(Math.PI / 6), Math.sin(Math.PI / 6), 0]);
});
