import assert from "node:assert/strict";
import { test } from "node:test";

import { AnimationLoop } from "../../../client_web/js/app/animation_loop.js";
import { MeshSender } from "../../../client_web/js/app/mesh_sender.js";
import { ViewSender } from "../../../client_web/js/app/view_sender.js";
import { Face } from "../../../client_web/js/input/face.js";
import { Orbit } from "../../../client_web/js/input/orbit.js";
import { Viewpoint } from "../../../client_web/js/input/viewpoint.js";
import { Telemetry } from "../../../client_web/js/timing/telemetry.js";
import { FakeTimers } from "../fakes.js";

/** Camera, face, senders and their animation loop, with an open channel. */
function sending() {
  const timers = new FakeTimers();
  const telemetry = new Telemetry();
  const channel = { open: true, sent: [] };
  const send = (text) => {
    if (channel.open) channel.sent.push(JSON.parse(text));
    return channel.open;
  };
  const orbit = new Orbit();
  const face = new Face(5000);
  face.blinking = false;
  const viewpoint = new Viewpoint(orbit);
  const viewSender = new ViewSender(orbit, viewpoint, telemetry, send, timers);
  const meshSender = new MeshSender(face, telemetry.journal, send, timers);
  const calls = [];
  const loop = new AnimationLoop(
    {
      ...{ orbit, face, viewSender, meshSender },
      onViewStep: () => calls.push("view"),
      onReleased: () => calls.push("released"),
    },
    timers,
  );
  return {
    timers,
    telemetry,
    channel,
    orbit,
    face,
    viewSender,
    meshSender,
    loop,
    calls,
    viewpoint,
  };
}

test("the first view is sent once the home position is known", () => {
  const { viewSender, channel } = sending();
  assert.equal(viewSender.send(), false);
  viewSender.homeKnown();
  assert.deepEqual(
    channel.sent.map(({ type, seq }) => [type, seq]),
    [["view", 1]],
  );
});

test("a view that cannot be sent gets no number and keeps its time of movement", () => {
  const { viewSender, channel, telemetry, timers } = sending();
  telemetry.eventReceived({ type: "frame", rtp_timestamp: 8, stages_ms: {} }, 1000);
  telemetry.displayed({ presentedFrames: 0, expectedDisplayTime: 1000, rtpTimestamp: 8 }, 1000);
  viewSender.homeKnown();
  channel.open = false;
  timers.now_ms = 1100;
  viewSender.moved(1090);
  assert.equal(viewSender.seq, 1);
  channel.open = true;
  timers.now_ms = 1200;
  assert.equal(viewSender.send(), true);
  assert.equal(viewSender.seq, 2);
  telemetry.eventReceived({ type: "frame", rtp_timestamp: 9, view_seq: 2, stages_ms: {} }, 1210);
  telemetry.displayed({ presentedFrames: 1, expectedDisplayTime: 1220, rtpTimestamp: 9 }, 1220);
  const { pose_to_photon_ms, sent_to_photon_ms } = telemetry.measured(1220);
  assert.deepEqual([pose_to_photon_ms.p50, sent_to_photon_ms.p50], [130, 20]);
});

test("the pose of a sent view is the displayed pose once its frame is displayed", () => {
  const { viewSender, orbit, telemetry } = sending();
  viewSender.homeKnown();
  const pose = orbit.pose();
  telemetry.eventReceived({ type: "frame", rtp_timestamp: 9, view_seq: 1, stages_ms: {} }, 1010);
  telemetry.displayed({ presentedFrames: 1, expectedDisplayTime: 1020, rtpTimestamp: 9 }, 1020);
  assert.deepEqual(telemetry.journal.displayedPose, pose);
});

test("a glide moves the view until it is at rest", () => {
  const { loop, orbit, viewSender, timers, calls, channel } = sending();
  viewSender.homeKnown();
  orbit.throw(1, 0);
  loop.start();
  loop.start();
  for (let i = 0; i < 300; i++) timers.frame();
  assert.equal(orbit.moving, false);
  assert.ok(orbit.yaw_rad > 0.1, String(orbit.yaw_rad));
  const steps = calls.length;
  const views = channel.sent.length;
  assert.ok(steps > 20 && views > 10, `${steps} steps, ${views} views`);
  for (let i = 0; i < 100; i++) timers.frame();
  assert.deepEqual([calls.length, channel.sent.length, timers.requested], [steps, views, 0]);
});

test("after a pause of the page the view does not jump", () => {
  const { loop, orbit, timers } = sending();
  orbit.hold({ yaw: 1, pitch: 0, zoom: 0 });
  loop.start();
  timers.frame(10_000);
  assert.ok(orbit.yaw_rad < 0.12, String(orbit.yaw_rad));
});

test("a driven face is sent at every screen refresh while it moves, and half as often at rest", () => {
  const { loop, face, timers, channel } = sending();
  face.perform(() => ({ jawOpen: 0.5 }));
  loop.start();
  for (let i = 0; i < 60; i++) timers.frame();
  assert.equal(channel.sent.length, 60);
  face.set({ jawOpen: 0.5 });
  for (let i = 0; i < 30; i++) timers.frame(); // until it stops easing
  channel.sent.length = 0;
  for (let i = 0; i < 60; i++) timers.frame();
  assert.equal(channel.sent.length, 30);
});

test("requests within one animation frame are sent as two mesh frames at most", () => {
  const { meshSender, channel, timers, face } = sending();
  face.set({ jawOpen: 0.5 });
  for (let i = 0; i < 5; i++) meshSender.request();
  timers.frame();
  assert.deepEqual(
    channel.sent.map(({ seq }) => seq),
    [5001, 5002],
  );
  assert.equal(meshSender.seq, 5002);
});

test("a mesh frame that cannot be sent does not count", () => {
  const { meshSender, channel, face } = sending();
  channel.open = false;
  face.set({ jawOpen: 0.5 });
  meshSender.request();
  assert.equal(meshSender.seq, null);
});

test("the end of a release is reported", () => {
  const { loop, face, timers, calls } = sending();
  face.set({ jawOpen: 1 });
  loop.start();
  face.release(timers.now_ms / 1000);
  for (let i = 0; i < 40; i++) timers.frame();
  assert.deepEqual(calls, ["released"]);
  assert.equal(timers.requested, 0);
});

test("with eye tracking, views with a field of view are sent at every screen refresh", () => {
  const { viewSender, channel, timers, viewpoint } = sending();
  viewSender.homeKnown();
  const pose = { rotation: [0, 0, 0, 1], position: [0.1, 0, 0.6] };
  viewpoint.follow(() => ({ pose, fov_y_rad: 0.45 }));
  viewSender.moved(timers.now_ms);
  for (let i = 0; i < 30; i++) timers.frame();
  assert.ok(channel.sent.length > 10, `${channel.sent.length} views`);
  const last = channel.sent.at(-1);
  assert.deepEqual([last.eye.position, last.fov_y_rad], [[0.1, 0, 0.6], 0.45]);
  viewpoint.follow(null);
  for (let i = 0; i < 5; i++) timers.frame();
  const sent = channel.sent.length;
  for (let i = 0; i < 30; i++) timers.frame();
  assert.ok(channel.sent.length <= sent + 1);
});
