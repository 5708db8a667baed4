import assert from "node:assert/strict";
import { test } from "node:test";

import { meshMessage } from "../../../client_web/js/connection/messages.js";
import { Face } from "../../../client_web/js/input/face.js";
import { rotate } from "../../../client_web/js/reprojection/quaternion.js";

function newFace() {
  const face = new Face(100);
  face.blinking = false;
  return face;
}

const sent = (face, now_ms = 0) => JSON.parse(meshMessage(face.meshFrame(now_ms)));

test("the face is not driven until something is set", () => {
  const face = newFace();
  assert.equal(face.driving, false);
  face.set({ jawOpen: 0.4 });
  assert.equal(face.driving, true);
});

test("a slider takes effect at once", () => {
  const face = newFace();
  face.set({ jawOpen: 0.4 });
  face.set({ cheekPuff: 0.2 });
  assert.deepEqual(sent(face).expression, { jawOpen: 0.4, cheekPuff: 0.2 });
});

test("every mesh frame has a unique number above the first", () => {
  const face = newFace();
  assert.deepEqual([face.meshFrame(0).seq, face.meshFrame(1).seq], [101, 102]);
});

test("a preset is reached gradually", () => {
  const face = newFace();
  face.become({ mouthPucker: 0.8 });
  face.step(0, 0.05);
  const early = sent(face).expression.mouthPucker;
  assert.ok(early > 0.1 && early < 0.7, String(early));
  for (let i = 0; i < 60; i++) face.step(0, 0.05);
  assert.deepEqual(sent(face).expression, { mouthPucker: 0.8 });
});

test("a performance continues until a slider is moved", () => {
  const face = newFace();
  face.perform((t_s) => ({ jawOpen: t_s > 1 ? 0.5 : 0 }));
  for (let t = 0; t < 2; t += 0.02) face.step(t, 0.02);
  assert.ok(sent(face).expression.jawOpen > 0.45);
  face.set({ cheekPuff: 1 });
  for (let t = 2; t < 5; t += 0.02) face.step(t, 0.02);
  assert.deepEqual(sent(face).expression, { cheekPuff: 1 });
});

test("a released face eases to rest before it is no longer driven", () => {
  const face = newFace();
  face.set({ jawOpen: 1 });
  face.turnHead({ turn: 0.3 });
  face.release(10);
  assert.equal(face.driving, true);
  for (let t = 10; t < 10.39; t += 0.02) face.step(t, 0.02);
  assert.equal(face.driving, true);
  assert.ok((sent(face).expression.jawOpen ?? 0) < 0.05);
  face.step(10.41, 0.02);
  assert.equal(face.driving, false);
  assert.deepEqual(face.goal, {});
  assert.equal(face.head.turn, 0);
});

test("a slider moved during a release keeps the face driven", () => {
  const face = newFace();
  face.set({ jawOpen: 1 });
  face.release(10);
  face.set({ jawOpen: 0.5 });
  face.step(11, 0.02);
  assert.equal(face.driving, true);
});

test("the head turns about the base of its neck", () => {
  const face = newFace();
  face.turnHead({ turn: 0.4, nod: 0.2, tilt: -0.3 });
  const { rotation, translation } = sent(face).head;
  const neck = [0, -0.11, 0];
  const moved = rotate(rotation, neck).map((value, i) => value + translation[i] - neck[i]);
  assert.ok(Math.hypot(...moved) < 1e-9, `the neck moved by ${moved}`);
  assert.ok(Math.abs(Math.hypot(...rotation) - 1) < 1e-9);
});

test("a blinking face closes both lids, and never opens a winking one", () => {
  const face = newFace();
  face.set({ eyeBlinkLeft: 1 });
  face.blinking = true;
  const lids = Array.from({ length: 400 }, (_, i) => sent(face, i * 10).expression);
  assert.ok(lids.every(({ eyeBlinkLeft }) => eyeBlinkLeft === 1));
  assert.ok(lids.some(({ eyeBlinkRight }) => eyeBlinkRight > 0.9));
  assert.ok(lids.some(({ eyeBlinkRight }) => eyeBlinkRight === undefined));
});

test("only coefficients of the avatar are sent", () => {
  const face = new Face(0);
  face.fit(["jawOpen"], [0, 1]);
  face.set({ jawOpen: 1.2, exp001: 1 });
  assert.deepEqual(sent(face).expression, { jawOpen: 1 });
  face.fit(["exp001"], [-5, 5]);
  face.set({ exp001: -2 });
  assert.deepEqual(sent(face).expression, { exp001: -2 });
});
