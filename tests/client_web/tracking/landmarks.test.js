import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import "../../../client_web/js/tracking/landmarks.js";
import { troubleOf } from "../../../client_web/js/tracking/tracker_trouble.js";

const { load } = globalThis.telewarpLandmarks;
const original = globalThis.OffscreenCanvas;

afterEach(() => {
  globalThis.OffscreenCanvas = original;
});

/** Canvases that have a context or none, and what has become of it. */
function canvases(context) {
  const asked = [];
  globalThis.OffscreenCanvas = class {
    getContext(kind) {
      asked.push(kind);
      return context;
    }
  };
  return asked;
}

test("without WebGL 2 the tracker says so before it loads anything", async () => {
  const bundle = { FilesetResolver: { forVisionTasks: assert.fail } };
  for (const none of [null, undefined]) {
    const asked = canvases(none);
    const error = await load(bundle, "files", true).catch((reason) => reason);
    assert.equal(troubleOf(error).kind, "no-webgl");
    assert.deepEqual(asked, ["webgl2"]);
  }
});

test("the context that was asked for is given back, and the tracker is loaded", async () => {
  const asked = [];
  const lost = { loseContext: () => asked.push("lost") };
  canvases({ getExtension: (name) => asked.push(name) && lost });
  const bundle = {
    FilesetResolver: { forVisionTasks: async (folder, asModule) => [folder, asModule] },
    FaceLandmarker: { createFromOptions: async (files) => files },
  };
  assert.deepEqual(await load(bundle, "files", true), ["files/wasm", true]);
  assert.deepEqual(asked, ["WEBGL_lose_context", "lost"]);
});
