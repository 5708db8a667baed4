import assert from "node:assert/strict";
import { test } from "node:test";

import { REST } from "../../../client_web/js/tracking/head_pose.js";
import { Presence } from "../../../client_web/js/tracking/presence.js";
import { near } from "./faces.js";

const OPEN = {
  expression: { jawOpen: 1 },
  head: { rotation: [0, 0, 0, 1], translation: [0.02, 0, 0] },
};
const SMILE = { expression: { mouthSmileLeft: 1 }, head: REST };

test("before the first face nothing is sent", () => {
  const presence = new Presence();
  assert.equal(presence.show(null, 0), null);
  assert.equal(presence.lost, false);
});

test("a face that is seen is shown as it is", () => {
  const presence = new Presence();
  assert.equal(presence.show(OPEN, 0), OPEN);
  assert.equal(presence.show(SMILE, 33), SMILE);
});

test("a lost face is held for 0.4 s, eases to rest within 0.9 s, and is then no longer sent", () => {
  const presence = new Presence();
  presence.show(OPEN, 0);
  assert.equal(presence.show(null, 100), OPEN);
  assert.equal(presence.lost, true);
  assert.equal(presence.show(null, 500), OPEN);
  const half = presence.show(null, 950);
  near([half.expression.jawOpen, half.head.translation[0]], [0.5, 0.01]);
  const late = presence.show(null, 1399);
  near([late.expression.jawOpen, late.head.translation[0]], [0, 0], 1e-5);
  assert.equal(presence.show(null, 1400), null);
});

test("a face that is found again replaces the shown one within 0.25 s, coefficient by coefficient", () => {
  const presence = new Presence();
  presence.show(OPEN, 0);
  presence.show(null, 100);
  near([presence.show(SMILE, 200).expression.jawOpen], [1]);
  assert.equal(presence.lost, false);
  const half = presence.show(SMILE, 325);
  near([half.expression.jawOpen, half.expression.mouthSmileLeft], [0.5, 0.5]);
  assert.equal(presence.show(SMILE, 450), SMILE);
});

test("a face that is lost while it returns is held as it was shown last", () => {
  const presence = new Presence();
  presence.show(OPEN, 0);
  presence.show(null, 100);
  presence.show(SMILE, 200);
  const half = presence.show(SMILE, 325);
  assert.equal(presence.show(null, 340), half);
  assert.equal(presence.show(null, 700), half);
});
