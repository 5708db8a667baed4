import assert from "node:assert/strict";
import { test } from "node:test";
import { LENGTH_S, STEPS, stepAt } from "../../../client_web/js/tracking/capture_steps.js";
import { Coverage } from "../../../client_web/js/tracking/coverage.js";

const REST_FRAMES = 20;

/** A face turned by angles in degrees: to the person's left, and up. */
function face(yaw, pitch = 0, coefficients = {}) {
  const [y, p] = [yaw, -pitch].map((degrees) => (degrees * Math.PI) / 180);
  const [cy, sy, cp, sp] = [Math.cos(y), Math.sin(y), Math.cos(p), Math.sin(p)];
  // By columns: R = Ry(yaw) Rx(pitch).
  const matrix = [cy, 0, -sy, 0, sy * sp, cp, cy * sp, 0, sy * cp, -sp, cy * cp, 0, 0, 0, -50, 1];
  return { matrix, coefficients, landmarks: new Float32Array() };
}

function rested(yaw = 0, pitch = 0) {
  const coverage = new Coverage();
  for (let i = 0; i < REST_FRAMES; i++) coverage.add(face(yaw, pitch));
  return coverage;
}

test("a face that looks straight ahead covers only the middle", () => {
  const { yaw, pitch, share } = rested().covered;
  assert.deepEqual(yaw, [false, false, false, true, false, false, false]);
  assert.deepEqual(pitch, [false, false, true, false, false]);
  assert.ok(Math.abs(share - 2 / 18) < 1e-9);
});

test("angles are relative to the resting pose", () => {
  const coverage = rested(20, -8); // beside a camera that is too high
  coverage.add(face(50, -8));
  coverage.add(face(20, 8));
  const { yaw, pitch } = coverage.covered;
  assert.deepEqual(yaw, [false, false, false, true, false, false, true]);
  assert.deepEqual(pitch, [false, false, true, false, true]);
});

test("left, right, up and down are distinguished", () => {
  for (const [yaw, pitch, left, up] of [
    [30, 0, 6, 2],
    [-30, 0, 0, 2],
    [0, 15, 3, 4],
    [0, -15, 3, 0],
  ]) {
    const coverage = rested();
    coverage.add(face(yaw, pitch));
    assert.equal(coverage.covered.yaw[left], true, `yaw ${yaw}`);
    assert.equal(coverage.covered.pitch[up], true, `pitch ${pitch}`);
  }
});

test("an expression of both sides counts with its weaker side, and the strongest is kept", () => {
  const coverage = rested();
  coverage.add(face(0, 0, { mouthSmileLeft: 0.9, mouthSmileRight: 0.25, jawOpen: 0.8 }));
  coverage.add(face(0, 0, { jawOpen: 0.1 }));
  const { smile, open, blink } = coverage.covered.expressions;
  assert.deepEqual([smile, open, blink], [0.5, 1, 0]);
});

test("coverage is complete after all poses and expressions", () => {
  const coverage = rested();
  for (const yaw of [-30, -20, -10, 0, 10, 20, 30]) coverage.add(face(yaw));
  for (const pitch of [-15, -7, 0, 7, 15]) coverage.add(face(0, pitch));
  const names = ["jawOpen", "mouthFunnel", "mouthPucker", "browInnerUp"];
  const sides = ["mouthSmile", "eyeBlink"].flatMap((name) => [`${name}Left`, `${name}Right`]);
  const all = Object.fromEntries([...names, ...sides].map((name) => [name, 1]));
  coverage.add(face(0, 0, all));
  assert.equal(coverage.covered.share, 1);
});

test("the steps follow each other for a minute", () => {
  assert.equal(LENGTH_S, 60);
  assert.equal(stepAt(0)?.step, STEPS[0]);
  assert.equal(stepAt(6)?.step, STEPS[1]);
  assert.equal(stepAt(5)?.left_s, 1);
  assert.equal(stepAt(LENGTH_S), null);
});
