import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { gridIndices, gridPositions } from "../../../client_web/js/reprojection/image_mesh.js";
import { LateReprojection } from "../../../client_web/js/reprojection/late_reprojection.js";
import { FakeElement, FakeTimers, fakeGl } from "../fakes.js";

const FRONT = { rotation: [0, 0, 0, 1], position: [0, 0, 0.7] };
const ASIDE = { rotation: [0, 0.1, 0, Math.sqrt(0.99)], position: [0.14, 0, 0.69] };

let timers;
beforeEach(() => {
  timers = new FakeTimers();
  globalThis.requestAnimationFrame = timers.requestFrame;
  globalThis.devicePixelRatio = 1;
  globalThis.HTMLMediaElement = { HAVE_CURRENT_DATA: 2 };
});
afterEach(() => {
  delete globalThis.requestAnimationFrame;
  delete globalThis.devicePixelRatio;
  delete globalThis.HTMLMediaElement;
});

function reprojecting({ webgl = true, perFrame = true } = {}) {
  const draws = [];
  const late = Object.assign(new FakeElement(), { clientWidth: 800, width: 0, height: 0 });
  const bufferSubData = (_target, _offset, vertices) => draws.push([...vertices]);
  late.getContext = () => (webgl ? fakeGl({ bufferSubData }) : null);
  const video = { readyState: 0, videoWidth: 320 };
  if (perFrame) video.requestVideoFrameCallback = () => {};
  const displayed = { displayedPose: FRONT, displayedHead: null };
  const view = { pose: FRONT };
  let lost = 0;
  const reprojection = new LateReprojection(
    ...[{ late, video }, displayed, () => view.pose, () => lost++],
  );
  return { reprojection, late, video, displayed, view, draws, lost: () => lost };
}

test("the mesh extends beyond the image, and every triangle indexes its vertices", () => {
  const vertices = gridPositions().length / 2;
  const indices = gridIndices();
  assert.equal(Math.min(...gridPositions()), -1.25);
  assert.equal(Math.max(...gridPositions()), 1.25);
  assert.equal(indices.length % 3, 0);
  assert.equal(Math.max(...indices), vertices - 1);
  assert.equal(new Set(indices).size, vertices);
});

test("without WebGL or requestVideoFrameCallback it stays off", () => {
  assert.equal(reprojecting({ webgl: false }).reprojection.start(), false);
  const { reprojection } = reprojecting({ perFrame: false });
  assert.equal(reprojection.start(), false);
  assert.equal(reprojection.on, false);
});

test("a new frame covers the video, at twice its size at most", () => {
  const { reprojection, late, draws } = reprojecting();
  reprojection.frameDisplayed();
  assert.equal(draws.length, 0);
  reprojection.start();
  reprojection.frameDisplayed();
  assert.deepEqual([late.width, late.height], [640, 640]);
  assert.ok(late.classes.has("shown"));
  assert.equal(draws.length, 1);
});

test("the frame moves with the view, and is drawn only when something has changed", () => {
  const { reprojection, view, draws } = reprojecting();
  reprojection.start();
  reprojection.frameDisplayed();
  const still = draws[0];
  const source = gridPositions();
  assert.ok(still.every((value, i) => Math.abs(value - source[i]) < 1e-5));
  timers.frame();
  assert.equal(draws.length, 1);
  view.pose = ASIDE;
  timers.frame();
  assert.equal(draws.length, 2);
  assert.ok(draws[1].some((value, i) => Math.abs(value - still[i]) > 0.01));
});

test("a frame whose pose is unknown is drawn unchanged until the pose is known", () => {
  const { reprojection, displayed, view, draws } = reprojecting();
  displayed.displayedPose = null;
  view.pose = ASIDE;
  reprojection.start();
  reprojection.frameDisplayed();
  assert.deepEqual(draws[0], [...gridPositions()]);
  displayed.displayedPose = FRONT;
  timers.frame();
  assert.notDeepEqual(draws[1], draws[0]);
});

test("off, cleared, or without its WebGL context it shows the video", () => {
  const { reprojection, late, draws, lost } = reprojecting();
  reprojection.start();
  reprojection.frameDisplayed();
  reprojection.clear();
  assert.ok(!late.classes.has("shown"));
  timers.frame();
  assert.equal(draws.length, 1);
  reprojection.frameDisplayed();
  late.dispatchEvent(new Event("webglcontextlost"));
  assert.deepEqual([reprojection.on, late.classes.has("shown"), lost()], [false, false, 1]);
  timers.frame();
  assert.equal(timers.requested, 0);
});
