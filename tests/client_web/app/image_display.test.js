import assert from "node:assert/strict";
import { test } from "node:test";

import { ImageDisplay } from "../../../client_web/js/app/image_display.js";
import { FakeElement, FakeTimers, FakeVideo } from "../fakes.js";

class FakeCanvas extends FakeElement {
  width = 0;
  height = 0;
  drawn = [];
  getContext = () => ({ drawImage: (source) => this.drawn.push(source) });
}

function displayed(video = new FakeVideo()) {
  const calls = [];
  const elements = {
    body: new FakeElement(),
    video,
    jpeg: Object.assign(new FakeCanvas(), { width: 256, height: 256 }),
    still: new FakeCanvas(),
    note: new FakeElement(),
  };
  const timers = new FakeTimers();
  const display = new ImageDisplay(elements, timers, {
    onSession: () => calls.push("session"),
    onFrame: ({ rtpTimestamp }, now_ms) => calls.push(`frame ${rtpTimestamp} at ${now_ms}`),
    onVideoFrame: () => calls.push("video frame"),
    onFirstFrame: (delivery) => calls.push(`first by ${delivery}`),
  });
  return { display, calls, timers, ...elements };
}

test("the first frame of a session is reported once, after it was recorded", () => {
  const { display, video, body, calls } = displayed();
  display.showVideo("the stream");
  assert.equal(video.srcObject, "the stream");
  assert.equal(display.delivery, null);
  video.show(90);
  video.show(180);
  assert.deepEqual(calls, [
    "session",
    ...["frame 90 at 1000", "video frame", "first by webrtc"],
    ...["frame 180 at 1000", "video frame"],
  ]);
  assert.equal(body.dataset.delivery, "webrtc");
  assert.ok(body.classes.has("has-frame"));
});

test("the black frame after the end of a session does not count", () => {
  const { display, video, calls } = displayed();
  display.showVideo("the stream");
  video.srcObject = null;
  video.show(90);
  assert.deepEqual(calls, ["session"]);
});

test("a browser without requestVideoFrameCallback reports the first frame when data is loaded", () => {
  const video = new FakeVideo();
  video.requestVideoFrameCallback = undefined;
  const { display, calls } = displayed(video);
  assert.equal(display.reportsFrames, false);
  display.showVideo("the stream");
  video.dispatchEvent(new Event("loadeddata"));
  assert.deepEqual(calls, ["session", "first by webrtc"]);
});

test("a JPEG image counts when the animation frame after the next begins", () => {
  const { display, timers, calls, jpeg, note } = displayed();
  display.nextDelivery = "jpeg";
  display.showJpeg();
  display.imageDrawn(7);
  timers.frame();
  assert.deepEqual(calls, ["session"]);
  timers.frame();
  assert.deepEqual(calls, ["session", "frame 7 at 1032", "first by jpeg"]);
  assert.equal(display.element, jpeg);
  assert.match(note.textContent, /Showing JPEG images/);
});

test("an image that is drawn after WebRTC took over does not count", () => {
  const { display, timers, calls } = displayed();
  display.nextDelivery = "jpeg";
  display.imageDrawn(7);
  display.nextDelivery = "webrtc";
  timers.frame();
  timers.frame();
  assert.deepEqual(calls, []);
});

test("the old delivery stays displayed until the new one's first frame", () => {
  const { display, timers, video, jpeg } = displayed();
  display.nextDelivery = "jpeg";
  display.showJpeg();
  display.imageDrawn(1);
  timers.frame();
  timers.frame();
  display.nextDelivery = "webrtc";
  display.showVideo("the stream");
  assert.equal(display.element, jpeg);
  video.show(90);
  assert.equal(display.element, video);
});

test("the still keeps the last frame of either delivery", () => {
  const { display, video, jpeg, still, timers } = displayed();
  display.showVideo("the stream");
  video.show(90);
  display.keepStill();
  assert.deepEqual([still.width, still.height, still.drawn[0]], [320, 320, video]);
  assert.equal(video.srcObject, null);
  display.nextDelivery = "jpeg";
  display.showJpeg();
  display.imageDrawn(1);
  timers.frame();
  timers.frame();
  display.keepStill();
  assert.deepEqual([still.width, still.height, still.drawn[1]], [256, 256, jpeg]);
});
