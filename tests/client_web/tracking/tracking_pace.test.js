import assert from "node:assert/strict";
import { test } from "node:test";

import { TrackingPace } from "../../../client_web/js/tracking/tracking_pace.js";

/** Return the faces per second and the share of a core of a tracker with a constant time per face. */
function steady(cores, took_ms) {
  const pace = new TrackingPace(cores);
  pace.rest(took_ms);
  const cycle_ms = took_ms + pace.rest(took_ms);
  return { fps: 1000 / cycle_ms, share: took_ms / cycle_ms };
}

test("the tracker uses half of a core of two, and two thirds of a core of more", () => {
  for (const took_ms of [5, 20, 80, 250]) {
    assert.ok(Math.abs(steady(2, took_ms).share - 1 / 2) < 1e-9);
    assert.ok(Math.abs(steady(8, took_ms).share - 2 / 3) < 1e-9);
  }
});

test("a machine that tracks a face in 22 ms keeps up with a camera of 30 frames per second", () => {
  assert.ok(steady(4, 22).fps > 30);
  assert.ok(steady(2, 16).fps > 30);
});

test("the pause is bounded, and a single stall of the browser causes none", () => {
  const pace = new TrackingPace(2);
  pace.rest(20);
  assert.equal(pace.rest(900), 20);
  assert.equal(pace.rest(20), 20);
  pace.rest(900);
  assert.equal(pace.rest(900), 300);
});
