import assert from "node:assert/strict";
import { test } from "node:test";

import { MotionPredictor } from "../../../client_web/js/tracking/motion_predictor.js";

const FRAME_MS = 1000 / 30;
const NOISE_M = 0.0012;

/** Normally distributed values, the same in every run. */
function* noise() {
  let seed = 1;
  for (;;) {
    let sum = 0;
    for (let i = 0; i < 12; i++) {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      sum += seed / 2147483648;
    }
    yield (sum - 6) * NOISE_M;
  }
}

/** Root mean square error of positions 100 ms ahead: of the prediction, and of the last measurement. */
function errors(path) {
  const predictor = new MotionPredictor();
  const disturbed = noise();
  const squares = { predicted: 0, measured: 0 };
  let count = 0;
  for (let at_ms = 0; at_ms < 20_000; at_ms += FRAME_MS) {
    const x = path(at_ms) + disturbed.next().value;
    predictor.measured([x, 0, 0], at_ms);
    if (at_ms < 1000) continue;
    count += 1;
    squares.predicted += (predictor.at(at_ms + 100)[0] - path(at_ms + 100)) ** 2;
    squares.measured += (x - path(at_ms + 100)) ** 2;
  }
  return {
    predicted: Math.sqrt(squares.predicted / count),
    measured: Math.sqrt(squares.measured / count),
  };
}

test("the prediction of a swaying head has less than half the error of its last position", () => {
  const { predicted, measured } = errors((ms) => 0.08 * Math.sin((2 * Math.PI * 0.6 * ms) / 1000));
  assert.ok(predicted < 0.45 * measured, `${predicted} of ${measured} m`);
});

test("the prediction of a head at rest has little more jitter than its measurements", () => {
  const { predicted } = errors(() => 0.1);
  assert.ok(predicted < 1.25 * NOISE_M, `${predicted} m`);
});

test("extrapolation is limited to the longest lead", () => {
  const predictor = new MotionPredictor();
  for (let i = 0; i < 60; i++) predictor.measured([0.01 * i, 0, 0], i * FRAME_MS);
  const last_ms = 59 * FRAME_MS;
  assert.deepEqual(predictor.at(last_ms + 120), predictor.at(last_ms + 5000));
});

test("there is no position before the first measurement, and a pause resets the predictor", () => {
  const predictor = new MotionPredictor();
  assert.equal(predictor.at(0), null);
  predictor.measured([0, 0, -0.6], 0);
  predictor.measured([0.01, 0, -0.6], 33);
  predictor.measured([0.3, 0.1, -0.5], 2000);
  assert.deepEqual(predictor.at(2050), [0.3, 0.1, -0.5]);
});
