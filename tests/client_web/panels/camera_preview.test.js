import assert from "node:assert/strict";
import { test } from "node:test";

import { CameraPreview } from "../../../client_web/js/panels/camera_preview.js";
import { FakeDocument, FakeElement, FakeVideo } from "../fakes.js";

/** A preview whose drawing is recorded as lines in pixels. */
function preview() {
  const page = new FakeDocument();
  page.createElement = () => new FakeVideo(page);
  const element = new FakeElement(page);
  element.prepend = () => {};
  const canvas = Object.assign(element.querySelector("[data-overlay]"), { width: 0, height: 0 });
  const lines = [];
  let from = null;
  let cleared = 0;
  canvas.getContext = () => ({
    beginPath: () => {},
    stroke: () => {},
    clearRect: () => {
      cleared += 1;
    },
    moveTo: (...at) => {
      from = at;
    },
    lineTo: (...at) => lines.push([from, at]),
  });
  const shown = new CameraPreview(element);
  return { shown, element, canvas, lines, cleared: () => cleared };
}

const LANDMARKS = new Float32Array([0, 0, 0.5, 0.25, 1, 1]);
const CONNECTIONS = { mesh: new Uint16Array([0, 1]), contours: new Uint16Array([1, 2]) };

test("a camera gives the preview its shape, and the mesh its pixels", async () => {
  const { shown, element, canvas } = preview();
  Object.assign(shown.video, { videoWidth: 640, videoHeight: 480 });
  await shown.show("the camera");
  assert.equal(element.dataset.phase, "on");
  assert.equal(Number(element.attributes.get("--ratio")), 640 / 480);
  assert.deepEqual([canvas.width, canvas.height], [640, 480]);
});

test("the mesh connects landmarks at their places in the image", async () => {
  const { shown, lines } = preview();
  Object.assign(shown.video, { videoWidth: 640, videoHeight: 480 });
  await shown.show("the camera");
  shown.connections = CONNECTIONS;
  shown.draw(LANDMARKS);
  assert.deepEqual(lines, [
    [
      [0, 0],
      [320, 120],
    ],
    [
      [320, 120],
      [640, 480],
    ],
  ]);
});

test("no mesh is drawn without a face, before its lines are known, or if it is switched off", () => {
  const { shown, element, lines, cleared } = preview();
  shown.draw(LANDMARKS);
  assert.ok(element.classes.has("found"));
  shown.connections = CONNECTIONS;
  shown.meshShown = false;
  shown.draw(LANDMARKS);
  shown.draw(null);
  assert.ok(!element.classes.has("found"));
  assert.deepEqual(lines, []);
  assert.equal(cleared(), 3, "the mesh of the frame before is removed each time");
});

test("a camera that is off says why, and shows no image", () => {
  const { shown, element } = preview();
  shown.video.srcObject = "the camera";
  shown.showOff("Waiting for your camera…");
  assert.equal(element.dataset.phase, "off");
  assert.equal(shown.video.srcObject, null);
  const text = element.querySelector("[data-camera-text]");
  assert.equal(text.textContent, "Waiting for your camera…");
});

test("whether a face is found is said once per change", () => {
  const { shown, element } = preview();
  const said = [];
  let text = "";
  Object.defineProperty(element.querySelector("[data-seen]"), "textContent", {
    get: () => text,
    set: (words) => {
      text = words;
      said.push(words);
    },
  });
  for (const found of [true, true, false, false, true]) shown.faceFound = found;
  assert.deepEqual(said, ["Face found", "No face found", "Face found"]);
});
