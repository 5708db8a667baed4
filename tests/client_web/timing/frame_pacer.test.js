import assert from "node:assert/strict";
import { test } from "node:test";

import { FramePacer } from "../../../client_web/js/timing/frame_pacer.js";

function paced() {
  const frames = [];
  const runs = [];
  const pacer = new FramePacer(
    () => runs.push(frames.length),
    (callback) => frames.push(callback),
  );
  return { pacer, runs, nextFrame: () => frames.shift()() };
}

test("the first request is sent at once", () => {
  const { pacer, runs } = paced();
  pacer.request();
  assert.equal(runs.length, 1);
});

test("requests within a frame are merged into one at its end", () => {
  const { pacer, runs, nextFrame } = paced();
  pacer.request();
  pacer.request();
  pacer.request();
  assert.equal(runs.length, 1);
  nextFrame();
  assert.equal(runs.length, 2);
  nextFrame();
  assert.equal(runs.length, 2);
});

test("after a frame without requests the next request is sent at once", () => {
  const { pacer, runs, nextFrame } = paced();
  pacer.request();
  nextFrame();
  pacer.request();
  assert.equal(runs.length, 2);
});
