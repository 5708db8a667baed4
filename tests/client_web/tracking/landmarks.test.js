import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import "../../../client_web/js/tracking/landmarks.js";
import { troubleOf } from "../../../client_web/js/tracking/tracker_trouble.js";

const { load } = globalThis.telewarpLandmarks;
const original = globalThis.OffscreenCanvas;

afterEach(() => {
  globalThis.OffscreenCanvas = original;
});

/** Canvases with or without a context, and whether it was released. */
function canvases(context) {
  const requested = [];
  globalThis.OffscreenCanvas = class {
    getContext(kind) {
      requested.push(kind);
      return context;
    }
  };
  return requested;
}

test("missing WebGL 2 is reported before the tracker is loaded", async () => {
  const bundle = { FilesetResolver: { forVisionTasks: assert.fail } };
  for (const none of [null, undefined]) {
    const requested = canvases(none);
    const error = await load(bundle, "files", true).catch((reason) => reason);
    assert.equal(troubleOf(error).kind, "no-webgl");
    assert.deepEqual(requested, ["webgl2"]);
  }
});

test("the probe context is released, and the tracker is loaded", async () => {
  const requested = [];
  const lost = { loseContext: () => requested.push("lost") };
  canvases({ getExtension: (name) => requested.push(name) && lost });
  const bundle = {
    FilesetResolver: { forVisionTasks: async (folder, asModule) => [folder, asModule] },
    FaceLandmarker: { createFromOptions: async (files) => files },
  };
  assert.deepEqual(await load(bundle, "files", true), ["files/wasm", true]);
  assert.deepEqual(requested, ["WEBGL_lose_context", "lost"]);
});
