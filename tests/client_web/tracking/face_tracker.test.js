import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { startDetector } from "../../../client_web/js/tracking/detectors.js";
import { FaceTracker } from "../../../client_web/js/tracking/face_tracker.js";
import { TrackerTrouble, troubleOf } from "../../../client_web/js/tracking/tracker_trouble.js";
import { settled } from "../fakes.js";

const original = { fetch: globalThis.fetch, VideoFrame: globalThis.VideoFrame };

afterEach(() => {
  mock.restoreAll();
  Object.assign(globalThis, original);
});

/** A video whose frames the test delivers, and images that count how many are open. */
function camera() {
  const open = new Set();
  let callback = null;
  let number = 0;
  globalThis.fetch = async () => ({ status: 200 });
  globalThis.VideoFrame = class {
    number = ++number;
    constructor() {
      open.add(this);
    }
    close() {
      open.delete(this);
    }
  };
  const video = {
    requestVideoFrameCallback: (next) => {
      callback = next;
      return 1;
    },
    cancelVideoFrameCallback: () => {
      callback = null;
    },
  };
  const deliver = async (captureTime) => {
    callback?.(captureTime + 5, { captureTime, presentationTime: captureTime + 3 });
    await settled();
  };
  return { video, deliver, open };
}

/** A detector that responds when the test resolves it. */
function slowDetector() {
  const waiting = [];
  const detector = {
    host: "test",
    connections: { mesh: new Uint16Array(), contours: new Uint16Array() },
    closed: false,
    detect: (image) =>
      new Promise((resolve, reject) => {
        waiting.push({
          number: image.number,
          answer: (face = null) => {
            image.close();
            resolve({ face, tracking_ms: 20 });
          },
          reject: (error) => {
            image.close();
            reject(error);
          },
        });
      }),
    close: () => {
      detector.closed = true;
    },
  };
  return { detector, waiting };
}

test("the newest frame replaces older ones while the tracker is busy, and all are closed", async () => {
  const { video, deliver, open } = camera();
  const { detector, waiting } = slowDetector();
  const seen = [];
  const tracker = new FaceTracker(
    { onFace: (frame) => seen.push(frame), onTrouble: assert.fail },
    async () => detector,
    async () => {},
  );
  await tracker.start(video);
  for (const at_ms of [10, 43, 76, 109]) await deliver(at_ms);
  assert.deepEqual(
    waiting.map(({ number }) => number),
    [1],
  );
  assert.equal(open.size, 2); // the current one and the newest
  waiting[0].answer();
  await settled();
  assert.equal(seen[0].capturedAt_ms, 10);
  assert.equal(waiting[1].number, 4);
  waiting[1].answer();
  await settled();
  assert.equal(seen[1].capturedAt_ms, 109);
  assert.equal(tracker.delivered, 4);
  await deliver(142);
  tracker.stop();
  waiting[2].answer();
  await settled();
  assert.equal(seen.length, 2); // nothing is reported after `stop`
  await deliver(175);
  assert.equal(open.size, 0);
});

test("the tracker pauses in proportion to its processing time, then takes the newest frame", async () => {
  const { video, deliver } = camera();
  const { detector, waiting } = slowDetector();
  let now_ms = 0;
  mock.method(performance, "now", () => now_ms);
  const rests = [];
  let wake = () => {};
  const tracker = new FaceTracker(
    { onFace: () => {}, onTrouble: assert.fail },
    async () => detector,
    (rest_ms) => {
      rests.push(rest_ms);
      return new Promise((resolve) => {
        wake = resolve;
      });
    },
  );
  await tracker.start(video);
  await deliver(10);
  now_ms += 80;
  waiting[0].answer();
  await settled();
  assert.equal(rests.length, 1);
  assert.ok(rests[0] >= 39 && rests[0] <= 80, `${rests[0]} of 80 ms`);
  for (const at_ms of [90, 123, 156]) await deliver(at_ms);
  assert.equal(waiting.length, 1); // it pauses although a frame is available
  wake();
  await settled();
  assert.equal(waiting[1].number, 4);
  tracker.close();
});

test("an error during tracking ends the tracker and is reported once", async () => {
  const { video, deliver, open } = camera();
  const { detector, waiting } = slowDetector();
  const troubles = [];
  const tracker = new FaceTracker(
    { onFace: assert.fail, onTrouble: (trouble) => troubles.push(trouble.kind) },
    async () => detector,
  );
  await tracker.start(video);
  await deliver(10);
  waiting[0].reject(new Error("emscripten_webgl_create_context failed"));
  await settled();
  await deliver(43);
  assert.deepEqual(troubles, ["no-webgl"]);
  assert.ok(detector.closed);
  assert.equal(open.size, 0);
});

test("missing tracker files and a failing tracker have different errors", async () => {
  const { video } = camera();
  globalThis.fetch = async () => ({ status: 404 });
  const tracker = new FaceTracker({ onFace: assert.fail, onTrouble: assert.fail }, assert.fail);
  await assert.rejects(tracker.start(video), (trouble) => trouble.kind === "files-missing");
});

test("the first working delegate runs the tracker", async () => {
  const tried = [];
  const fails = async () => {
    tried.push("module");
    throw new Error("no module workers");
  };
  const works = async (folder) => {
    tried.push(`classic ${folder}`);
    return slowDetector().detector;
  };
  const detector = await startDetector("files", [fails, works, assert.fail]);
  assert.equal(detector.host, "test");
  assert.deepEqual(tried, ["module", "classic files"]);
  await assert.rejects(startDetector("files", [fails, fails]), /no module workers/);
});

test("the browser's error gives the missing part", () => {
  const kind = (text) => troubleOf(new Error(text)).kind;
  assert.equal(
    kind(
      "CompileError: WebAssembly.instantiate(): Compiling or instantiating WebAssembly module violates the following Content Security policy directive",
    ),
    "wasm-blocked",
  );
  assert.equal(
    kind("CompileError: call to WebAssembly.instantiate() blocked by CSP"),
    "wasm-blocked",
  );
  assert.equal(kind("Failed to create WebGL canvas context"), "no-webgl");
  assert.equal(kind("something else"), "failed");
  assert.equal(troubleOf(new TrackerTrouble("no-wasm")).kind, "no-wasm");
});
