import assert from "node:assert/strict";
import { test } from "node:test";

import { PercentileWindow, RateWindow } from "../../../client_web/js/timing/percentiles.js";

test("percentiles are measured values", () => {
  const window = new PercentileWindow();
  for (let i = 1; i <= 100; i++) window.add(101 - i, i);
  assert.deepEqual(window.summary(100), { p50: 50, p95: 95, count: 100 });
});

test("an empty window has no percentiles, not zero", () => {
  assert.deepEqual(new PercentileWindow().summary(0), { p50: null, p95: null, count: 0 });
});

test("old samples are removed by age and by number", () => {
  const window = new PercentileWindow({ size: 3, age_ms: 1000 });
  for (const [i, value] of [10, 20, 30, 40].entries()) window.add(value, i * 400);
  assert.equal(window.summary(1200).count, 3);
  assert.deepEqual(window.summary(2000), { p50: 40, p95: 40, count: 1 });
});

test("a rate is counted over the window", () => {
  const rate = new RateWindow(2000);
  for (let i = 0; i <= 120; i++) rate.add(i, (i * 1000) / 60);
  assert.ok(Math.abs(rate.rate(2000) - 60) < 1.5, String(rate.rate(2000)));
});

test("a rate falls when nothing more arrives, and is zero after the length of the window", () => {
  const rate = new RateWindow(2000);
  for (let i = 0; i <= 60; i++) rate.add(i, (i * 1000) / 60);
  assert.ok(rate.rate(2000) < 31, String(rate.rate(2000)));
  assert.equal(rate.rate(3100), 0);
});

test("a counter that restarts gives no negative rate", () => {
  const rate = new RateWindow();
  rate.add(500, 0);
  rate.add(3, 100);
  rate.add(5, 200);
  assert.ok(rate.rate(200) > 0);
});
