import assert from "node:assert/strict";
import { test } from "node:test";

import { smoothingOf } from "../../../client_web/js/tracking/face_filter.js";
import { OneEuroFilter } from "../../../client_web/js/tracking/one_euro.js";

const FPS = 30;

/** Filter samples taken 30 times per second. */
function filtered(values, smoothing) {
  const filter = new OneEuroFilter(smoothing);
  return values.map((value, i) => filter.filter(value, i / FPS));
}

/** Noise that is the same in every run. */
function noise(count, amplitude) {
  return Array.from({ length: count }, (_, i) => amplitude * Math.sin(i * 12.9898) * 43758.5453)
    .map((x) => (x - Math.trunc(x)) * amplitude)
    .slice(0, count);
}

/** Mean absolute second difference: a measure of visible jitter. */
function jitter(values) {
  const steps = values.slice(2).map((v, i) => Math.abs(v - 2 * values[i + 1] + values[i]));
  return steps.reduce((a, b) => a + b) / steps.length;
}

test("the filter matches the One Euro paper", () => {
  // Computed by hand: dt = 0.1 s, cutoff of the speed 1 Hz, minimum 1 Hz, beta 2.
  const filter = new OneEuroFilter({ minCutoff_hz: 1, beta: 2, speedCutoff_hz: 1 });
  assert.equal(filter.filter(0, 0), 0);
  const share = (hz) => 1 / (1 + 1 / (2 * Math.PI * hz * 0.1));
  const speed = share(1) * 10;
  assert.ok(Math.abs(filter.filter(1, 0.1) - share(1 + 2 * speed)) < 1e-12);
});

test("the jitter of a face at rest is more than halved", () => {
  const raw = noise(120, 0.02).map((x) => 0.3 + x);
  for (const name of ["eyeBlinkLeft", "eyeLookInLeft", "jawOpen", "browInnerUp"]) {
    const calm = filtered(raw, smoothingOf(name)).slice(10);
    assert.ok(jitter(calm) < jitter(raw.slice(10)) / 2, `${name}: ${jitter(calm)}`);
  }
});

test("a blink of four frames keeps its depth with less than a frame of delay", () => {
  const blink = [0, 0, 0, 0, 0, 0, 0.35, 0.9, 1, 0.6, 0.25, 0.05, 0, 0, 0, 0];
  const shown = filtered(blink, smoothingOf("eyeBlinkLeft"));
  assert.ok(Math.max(...shown) > 0.93, String(Math.max(...shown)));
  assert.equal(shown.indexOf(Math.max(...shown)), blink.indexOf(1));
  assert.ok(shown[7] > 0.75, `half closed in time: ${shown[7]}`);
  assert.ok(shown[11] < 0.2, `open again: ${shown[11]}`);
});

test("a saccade is followed within two frames", () => {
  const jump = [...Array(10).fill(0.1), ...Array(10).fill(0.7)];
  const shown = filtered(jump, smoothingOf("eyeLookOutLeft"));
  assert.ok(shown[10] > 0.1 + 0.6 * 0.8, `first frame: ${shown[10]}`);
  assert.ok(shown[11] > 0.1 + 0.6 * 0.93, `second frame: ${shown[11]}`);
});

test("a pause resets the filter, and a repeated time changes nothing", () => {
  const filter = new OneEuroFilter(smoothingOf("browInnerUp"));
  filter.filter(0, 0);
  const once = filter.filter(1, 0.03);
  assert.equal(filter.filter(0.2, 0.03), once);
  assert.equal(filter.filter(0.6, 5), 0.6);
});
