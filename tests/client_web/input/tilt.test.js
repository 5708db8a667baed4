import assert from "node:assert/strict";
import { test } from "node:test";

import { screenRotation, Tilt } from "../../../client_web/js/input/tilt.js";
import { rotate } from "../../../client_web/js/reprojection/quaternion.js";

const HELD = { alpha: 0, beta: 60, gamma: 0 }; // in front of one's face, leaning back by 30 degrees
const RAD = Math.PI / 180;

const close = (got, expected) => {
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(got[i] - value) < 1e-6, `expected ${expected}, got ${got}`);
  }
};

/** The eye position after a phone was turned from one rotation to another at once. */
function turned(to, from = HELD, screen_deg = 0) {
  const tilt = new Tilt();
  tilt.eyes(screenRotation(from, screen_deg), 0);
  return tilt.eyes(screenRotation(to, screen_deg), 0);
}

test("a phone that lies on a table with its top to the north has the identity rotation", () => {
  const flat = screenRotation({ alpha: 0, beta: 0, gamma: 0 }, 0);
  close(flat, [0, 0, 0, 1]);
  // Upright: the screen faces south, the top points up.
  const upright = screenRotation({ alpha: 0, beta: 90, gamma: 0 }, 0);
  close(rotate(upright, [0, 0, 1]), [0, -1, 0]);
  close(rotate(upright, [0, 1, 0]), [0, 0, 1]);
});

test("eyes are in front of a phone that is held still", () => {
  close(turned(HELD), [0, 0, 1]);
});

test("turning the left edge away moves the eyes to the right of the screen", () => {
  // Seen from above, counter-clockwise about the vertical: alpha. The phone is upright.
  const upright = { alpha: 0, beta: 90, gamma: 0 };
  const eyes = turned({ ...upright, alpha: -20 }, upright);
  close(eyes, [Math.sin(20 * RAD), 0, Math.cos(20 * RAD)]);
});

test("leaning the phone back moves the eyes down", () => {
  close(turned({ ...HELD, beta: 50 }), [0, -Math.sin(10 * RAD), Math.cos(10 * RAD)]);
});

test("in landscape the same movement is about the device's other axis", () => {
  // The device's left side is at the bottom of the image: gamma leans it back and forth.
  const eyes = turned({ alpha: 0, beta: 0, gamma: -50 }, { alpha: 0, beta: 0, gamma: -60 }, 90);
  close(eyes, [0, -Math.sin(10 * RAD), Math.cos(10 * RAD)]);
});

test("a change of the screen orientation does not move the eyes", () => {
  close(turned({ alpha: 0, beta: 0, gamma: 0 }, { alpha: 30, beta: 0, gamma: 0 }), [0, 0, 1]);
});

test("after a change of posture the view slowly recentres", () => {
  const tilt = new Tilt();
  tilt.eyes(screenRotation(HELD, 0), 0);
  const other = screenRotation({ ...HELD, beta: 40 }, 0);
  const angle = (direction) => Math.acos(direction[2]) / RAD;
  let eyes = tilt.eyes(other, 0);
  assert.ok(angle(eyes) > 19.9);
  for (let at_ms = 16; at_ms <= 5000; at_ms += 16) eyes = tilt.eyes(other, at_ms);
  assert.ok(angle(eyes) > 18, `${angle(eyes)}: a view from the side is kept for a while`);
  for (let at_ms = 5016; at_ms <= 180_000; at_ms += 16) eyes = tilt.eyes(other, at_ms);
  assert.ok(angle(eyes) < 1.5, String(angle(eyes)));
});

test("a pause of the page does not recentre, and the user can centre at once", () => {
  const tilt = new Tilt();
  tilt.eyes(screenRotation(HELD, 0), 0);
  const other = screenRotation({ ...HELD, beta: 40 }, 0);
  assert.ok(tilt.eyes(other, 60_000)[2] < Math.cos(19 * RAD));
  tilt.center();
  close(tilt.eyes(other, 60_016), [0, 0, 1]);
});
