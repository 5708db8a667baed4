import assert from "node:assert/strict";
import { test } from "node:test";

import { meterLevel, rootMeanSquare } from "../../../client_web/js/voice/sound_level.js";

test("the meter is linear in decibels, from a quiet room to peaks", () => {
  assert.equal(meterLevel(0), 0);
  assert.equal(meterLevel(0.001), 0); // -60 dB
  assert.ok(Math.abs(meterLevel(10 ** (-33 / 20)) - 0.5) < 1e-9);
  assert.equal(meterLevel(1), 1);
  assert.equal(meterLevel(Number.NaN), 0);
});

test("the root mean square of a sine is its amplitude over the root of two", () => {
  const samples = Float32Array.from({ length: 480 }, (_, i) => 0.5 * Math.sin((i * Math.PI) / 24));
  assert.ok(Math.abs(rootMeanSquare(samples) - 0.5 / Math.SQRT2) < 1e-6);
  assert.equal(rootMeanSquare(new Float32Array(0)), 0);
});
