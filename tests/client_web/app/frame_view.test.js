import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { FrameView } from "../../../client_web/js/app/frame_view.js";
import { gridPositions } from "../../../client_web/js/reprojection/image_mesh.js";
import { Telemetry } from "../../../client_web/js/timing/telemetry.js";
import { FakeDocument, FakeElement, FakeTimers, FakeVideo, fakeGl, settled } from "../fakes.js";

const FRONT = { rotation: [0, 0, 0, 1], position: [0, 0, 0.7] };
const ASIDE = { rotation: [0, 0.1, 0, Math.sqrt(0.99)], position: [0.14, 0, 0.69] };
const SESSION = new URL("https://server.test/v1/sessions/abc");

let life;
let requested;
beforeEach(() => {
  life = new AbortController();
  requested = [];
  globalThis.devicePixelRatio = 2;
  globalThis.HTMLMediaElement = { HAVE_CURRENT_DATA: 2 };
  globalThis.requestAnimationFrame = () => {};
  globalThis.createImageBitmap = async () => ({ height: 448, close: () => {} });
  mock.method(globalThis, "fetch", async (address) => {
    requested.push(address.href);
    return new Response("jpeg");
  });
});
afterEach(() => {
  life.abort();
  mock.restoreAll();
  delete globalThis.devicePixelRatio;
  delete globalThis.HTMLMediaElement;
  delete globalThis.requestAnimationFrame;
  delete globalThis.createImageBitmap;
});

/** The frames of a page that watches `SESSION`, beside what was called and drawn. */
function watching({ background = null, address = SESSION } = {}) {
  const calls = [];
  const draws = [];
  const page = new FakeDocument();
  const sized = { clientWidth: 400, clientHeight: 400, width: 0, height: 0 };
  const elements = Object.fromEntries(
    ["body", "jpeg", "still", "refined", "clear", "late", "frame", "note", "errorLine"].map(
      (name) => [name, Object.assign(new FakeElement(page), sized)],
    ),
  );
  elements.video = new FakeVideo();
  const bufferSubData = (_target, _offset, vertices) => draws.push([...vertices]);
  elements.late.getContext = () => fakeGl({ bufferSubData });
  elements.refined.getContext = () => ({ drawImage: () => calls.push("still drawn") });
  const telemetry = new Telemetry();
  const input = { orbit: { pose: () => ASIDE }, viewpoint: { following: false } };
  const session = () => (address ? { address } : null);
  const send = (text) => calls.push(JSON.parse(text));
  const parts = { elements, telemetry, input, background, session, send };
  const frames = new FrameView(page, parts, new FakeTimers(), life.signal, {
    onFrame: () => calls.push(`frame of view ${telemetry.measured(0).view_seq_shown}`),
    onFirstFrame: () => calls.push("first frame"),
    onLateLost: () => calls.push("late reprojection lost"),
  });
  return { frames, telemetry, input, calls, draws, ...elements };
}

/** Send a view, and receive the event of the frame that shows it. */
function rendered(telemetry, { seq, rtp_timestamp, still }) {
  telemetry.journal.viewSent({ seq, sent_at_ms: 1, pose: FRONT });
  telemetry.eventReceived({ type: "frame", rtp_timestamp, view_seq: seq, still }, 2);
}

test("a frame is recorded before the listeners learn of it", () => {
  const { frames, telemetry, calls, video } = watching();
  frames.display.showVideo("the stream");
  rendered(telemetry, { seq: 4, rtp_timestamp: 90 });
  video.show(90);
  video.show(90);
  assert.deepEqual(calls, ["frame of view 4", "first frame", "frame of view 4"]);
});

test("a still that shows the displayed frame is loaded from the session and covers it", async () => {
  const { frames, telemetry, calls, video, refined } = watching();
  frames.display.showVideo("the stream");
  rendered(telemetry, { seq: 1, rtp_timestamp: 90, still: 7 });
  assert.deepEqual(requested, [], "not before the frame is displayed");
  video.show(90);
  await settled();
  assert.deepEqual(requested, [`${SESSION.href}/stills/7`]);
  assert.ok(calls.includes("still drawn"));
  assert.equal(refined.height, 800, "of 400 pixels at a density of 2");
  assert.equal(frames.refined.visible, true);
});

test("without a session no still is requested", async () => {
  const { frames, telemetry, video } = watching({ address: null });
  frames.display.showVideo("the stream");
  rendered(telemetry, { seq: 1, rtp_timestamp: 90, still: 7 });
  video.show(90);
  await settled();
  assert.deepEqual(requested, []);
  assert.equal(frames.refined.visible, false);
});

test("another session uncovers the frames and forgets the records", async () => {
  const { frames, telemetry, video, late } = watching();
  frames.display.showVideo("the stream");
  frames.late.start();
  rendered(telemetry, { seq: 1, rtp_timestamp: 90, still: 7 });
  video.show(90);
  await settled();
  assert.deepEqual([frames.refined.visible, late.classes.has("shown")], [true, true]);
  frames.display.showVideo("another stream");
  assert.deepEqual([frames.refined.visible, late.classes.has("shown")], [false, false]);
  assert.equal(telemetry.measured(0).view_seq_shown, null);
});

test("late reprojection draws a frame for the newest view", () => {
  const { frames, telemetry, video, draws } = watching();
  frames.display.showVideo("the stream");
  frames.late.start();
  rendered(telemetry, { seq: 1, rtp_timestamp: 90 });
  video.show(90);
  const moved = gridPositions().map((value, i) => Math.abs(draws[0][i] - value));
  assert.ok(Math.max(...moved) > 0.01);
});

test("a frame that was mapped to the viewer's eyes is not reprojected again", () => {
  const { frames, telemetry, input, video, draws } = watching();
  input.viewpoint.following = true;
  frames.display.showVideo("the stream");
  frames.late.start();
  rendered(telemetry, { seq: 1, rtp_timestamp: 90 });
  video.show(90);
  const moved = gridPositions().map((value, i) => Math.abs(draws[0][i] - value));
  assert.ok(Math.max(...moved) < 1e-5);
});

test("the end of late reprojection by the browser is reported", () => {
  const { frames, calls, late } = watching();
  frames.late.start();
  late.dispatchEvent(new Event("webglcontextlost"));
  assert.deepEqual(calls, ["late reprojection lost"]);
});

test("a browser that cannot compose a transparent background is reported on the page", () => {
  const { errorLine } = watching({ background: "transparent" });
  assert.match(errorLine.textContent, /needs WebGL/);
});

test("the size of the frames counts the screen's own pixels", () => {
  const { frames, calls } = watching();
  frames.size.send();
  assert.equal(frames.size.size_px, 800);
  assert.deepEqual(calls, [{ type: "display", size_px: 800 }]);
});
