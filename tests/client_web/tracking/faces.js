// Faces as the tracker returns them.

import assert from "node:assert/strict";

import { fromYawPitchRoll, rotate } from "../../../client_web/js/reprojection/quaternion.js";

/** The tracker's matrix (by columns, centimetres) of a turned head. */
export function turned({ yaw = 0, pitch = 0, roll = 0, at_cm = [0, 0, -50] }) {
  const rotation = fromYawPitchRoll(yaw, pitch, roll);
  const columns = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ].map((axis) => [...rotate(rotation, axis), 0]);
  return [...columns.flat(), ...at_cm, 1];
}

/** A tracked face. */
export function face(coefficients = {}, pose = {}) {
  return { coefficients, matrix: turned(pose), landmarks: new Float32Array(4) };
}

/** Assert that two lists of numbers are nearly equal. */
export function near(actual, expected, tolerance = 1e-9) {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(actual[i] - value) <= tolerance, `expected ${expected}, got ${actual}`);
  }
}
