import assert from "node:assert/strict";
import { test } from "node:test";

import { eyePosition } from "../../../client_web/js/tracking/eye_position.js";
import { near, turned } from "./faces.js";

// Of the point between the eyes in the face model: 26 mm above its origin and 30 mm in front of it.
const ABOVE_M = 0.026;
const BEFORE_M = 0.03;

test("the eyes of a face that looks straight ahead are above and before its origin", () => {
  near(eyePosition(turned({ at_cm: [3, -2, -60] })), [0.03, -0.02 + ABOVE_M, -0.6 + BEFORE_M]);
});

test("the eyes turn with the head", () => {
  const quarter = Math.PI / 2;
  near(eyePosition(turned({ yaw: quarter, at_cm: [0, 0, -60] })), [BEFORE_M, ABOVE_M, -0.6]);
  const [x, y] = eyePosition(turned({ roll: quarter, at_cm: [0, 0, -60] }));
  near([Math.abs(x), y], [ABOVE_M, 0]);
});

test("their distance from the camera does not depend on where the head looks from its origin", () => {
  const lengths = [-0.4, 0, 0.4].map((yaw) => {
    const [x, y, z] = eyePosition(turned({ yaw, at_cm: [0, 0, 0] }));
    return Math.hypot(x, y, z);
  });
  assert.ok(lengths.every((length) => Math.abs(length - Math.hypot(ABOVE_M, BEFORE_M)) < 1e-9));
});
