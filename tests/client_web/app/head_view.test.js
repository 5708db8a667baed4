// The head-tracked view: its sources of eye positions, and switching between them.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { HeadView } from "../../../client_web/js/app/head_view.js";
import { canTilt, openTiltSource, SensorTrouble } from "../../../client_web/js/app/tilt_source.js";
import { settled } from "../fakes.js";

/** A window whose orientation events a test dispatches. */
class FakeWindow extends EventTarget {
  isSecureContext = true;
  screen = { orientation: { angle: 0 } };
  DeviceOrientationEvent = {};

  tilt(angles) {
    this.dispatchEvent(Object.assign(new Event("deviceorientation"), angles));
  }
}

function viewing() {
  const messages = [];
  const moved = [];
  const sources = {};
  const buttons = {};
  const panel = {
    connect: (actions) => Object.assign(buttons, actions),
    open: (source) => messages.push(`open ${source}`),
    close: () => {},
    showState: (state) => messages.push(state),
    fail: ({ title }) => messages.push(title),
  };
  /** @param {string} name */
  const source = (name) => (onEyes, onTrouble) =>
    new Promise((resolve, reject) => {
      sources[name] = { onEyes, onTrouble, resolve, reject, closed: 0 };
    });
  const view = new HeadView({
    panel,
    frame: { clientWidth: 400, style: { setProperty() {} } },
    journal: { displayedView: null },
    viewpoint: { follow: () => {} },
    viewMoved: (at_ms) => moved.push(at_ms),
    latency_ms: () => 20,
    sources: { camera: source("camera"), tilt: source("tilt") },
    now: () => 0,
  });
  const opened = async (name, more = {}) => {
    const of = sources[name];
    of.resolve({ close: () => (of.closed += 1), ...more });
    await settled();
  };
  return { view, buttons, sources, messages, moved, opened };
}

test("choosing another source replaces the current one; choosing the same one closes it", async () => {
  const { view, sources, messages, opened } = viewing();
  view.toggle("camera");
  await opened("camera");
  view.toggle("tilt");
  assert.equal(sources.camera.closed, 1);
  await opened("tilt");
  assert.ok(view.on);
  view.toggle("tilt");
  assert.equal(sources.tilt.closed, 1);
  assert.equal(view.on, false);
  assert.deepEqual(messages, ["open camera", "open tilt"]);
});

test("a source that opens only after it was closed and opened again is closed", async () => {
  const { view, sources, opened } = viewing();
  view.toggle("camera");
  const first = sources.camera;
  view.toggle("camera");
  view.toggle("camera");
  first.resolve({ close: () => (first.closed += 1) });
  await settled();
  assert.equal(first.closed, 1);
  await opened("camera");
  assert.equal(sources.camera.closed, 0);
});

test("eye positions move the view, and centring is passed to a source that supports it", async () => {
  const { view, buttons, sources, messages, moved, opened } = viewing();
  view.toggle("tilt");
  let centered = 0;
  await opened("tilt", { center: () => (centered += 1) });
  buttons.center();
  assert.equal(centered, 0, "no eye position is known yet");
  sources.tilt.onEyes([0.1, 0, -0.5], 33);
  buttons.center();
  assert.deepEqual([centered, view.window.straight], [1, [0, 0]]);
  view.toggle("camera");
  await opened("camera");
  sources.camera.onEyes([0.1, 0.2, -0.5], 66);
  sources.camera.onEyes(null, 99);
  buttons.center();
  assert.deepEqual(view.window.straight, [-0.1, 0.2]);
  assert.deepEqual(moved, [33, 66]);
  assert.deepEqual(messages.slice(-3), ["following", "no face", "centered"]);
});

test("the failure of a source is shown as a message", async () => {
  const { view, sources, messages } = viewing();
  view.toggle("tilt");
  sources.tilt.reject(new SensorTrouble("denied"));
  await settled();
  assert.equal(view.on, false);
  view.toggle("camera");
  sources.camera.reject(new DOMException("", "NotFoundError"));
  await settled();
  assert.deepEqual(messages, [
    "open tilt",
    "The sensors are blocked",
    "open camera",
    "No camera was found",
  ]);
});

test("a phone without new orientation events keeps its rotation", async () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  try {
    const window = new FakeWindow();
    const times = [];
    let now_ms = 0;
    const opening = openTiltSource(
      window,
      (_rotation, at_ms) => times.push(at_ms),
      () => now_ms,
    );
    await settled();
    window.tilt({ alpha: 0, beta: 0, gamma: 0 });
    const { close } = await opening;
    for (now_ms = 100; now_ms <= 300; now_ms += 100) mock.timers.tick(100);
    close();
    mock.timers.tick(1000);
    assert.deepEqual(times, [0, 100, 200, 300]);
  } finally {
    mock.timers.reset();
  }
});

test("the sensors of a phone report its rotation until they are closed", async () => {
  const window = new FakeWindow();
  const rotations = [];
  const opening = openTiltSource(
    window,
    (rotation) => rotations.push(rotation),
    () => 5,
  );
  await settled();
  window.tilt({ alpha: null, beta: null, gamma: null }); // as a browser without sensors reports
  assert.deepEqual(rotations, []);
  window.tilt({ alpha: 0, beta: 0, gamma: 0 });
  const { close } = await opening;
  close();
  window.tilt({ alpha: 9, beta: 0, gamma: 0 });
  assert.equal(rotations.length, 1);
});

test("denied sensors, and missing ones on a page without TLS, are reported", async () => {
  const window = new FakeWindow();
  window.DeviceOrientationEvent.requestPermission = async () => "denied";
  await assert.rejects(openTiltSource(window, assert.fail, assert.fail), { kind: "denied" });
  window.DeviceOrientationEvent.requestPermission = () => Promise.reject(new Error("no click"));
  await assert.rejects(openTiltSource(window, assert.fail, assert.fail), { kind: "denied" });
  window.isSecureContext = false;
  await assert.rejects(openTiltSource(window, assert.fail, assert.fail), { kind: "insecure" });
});

test("only handheld devices have the tilt button", () => {
  const window = new FakeWindow();
  window.matchMedia = () => ({ matches: true });
  assert.equal(canTilt(window), true);
  window.matchMedia = () => ({ matches: false });
  assert.equal(canTilt(window), false);
});
