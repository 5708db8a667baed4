import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { CameraFrames } from "../../../client_web/js/tracking/camera_frames.js";
import { PageTime } from "../../../client_web/js/tracking/page_time.js";
import { settled } from "../fakes.js";

const original = globalThis.VideoFrame;

afterEach(() => {
  globalThis.VideoFrame = original;
});

/** A page that the test hides, and a worker whose timers it ends. */
function hiddenPage() {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const asked = [];
  let terminated = 0;
  const worker = {
    onmessage: null,
    postMessage: (message) => asked.push(message),
    terminate: () => {
      terminated += 1;
    },
  };
  const time = new PageTime(page, () => worker);
  const show = async (shown) => {
    page.hidden = !shown;
    page.dispatchEvent(new Event("visibilitychange"));
    await settled();
  };
  const tick = async () => {
    worker.onmessage({ data: asked.shift().id });
    await settled();
  };
  return { time, show, tick, asked, terminated: () => terminated };
}

test("a hidden page waits by its worker, a shown one by its own timer", async () => {
  const { time, show, tick, asked, terminated } = hiddenPage();
  await time.wait(0);
  assert.equal(asked.length, 0);
  await show(false);
  const waited = [];
  void time.wait(20).then(() => waited.push(20));
  void time.wait(10).then(() => waited.push(10));
  assert.deepEqual(
    asked.map(({ ms }) => ms),
    [20, 10],
  );
  await tick();
  assert.deepEqual(waited, [20]);
  await tick();
  assert.deepEqual(waited, [20, 10]);
  time.close();
  assert.equal(terminated(), 1);
});

test("a hidden page takes a frame of its camera when one is wanted, and none once it is shown", async () => {
  let open = 0;
  globalThis.VideoFrame = class {
    constructor() {
      open += 1;
    }
    close() {
      open -= 1;
    }
  };
  const { time, show, tick, asked } = hiddenPage();
  const video = { requestVideoFrameCallback: () => 1, cancelVideoFrameCallback: () => {} };
  const frames = new CameraFrames(video, time);
  const seen = [];
  void frames.next().then((frame) => seen.push(frame));
  assert.equal(seen.length, 0);
  await show(false);
  assert.equal(seen.length, 1);
  await tick(); // nobody waits for a frame: none is taken
  assert.deepEqual([frames.delivered, open], [1, 1]);
  seen[0].image.close();
  void frames.next().then((frame) => seen.push(frame));
  await show(true);
  await tick();
  assert.deepEqual([seen.length, asked.length, open], [1, 0, 0]);
  frames.close();
});
