// Where the viewer's eyes are: the sources, and switching between them.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { HeadView } from "../../../client_web/js/app/head_view.js";
import { canTilt, openTiltSource, SensorTrouble } from "../../../client_web/js/app/tilt_source.js";
import { settled } from "../fakes.js";

/** A window whose sensors tell what a test dispatches. */
class FakeWindow extends EventTarget {
  isSecureContext = true;
  screen = { orientation: { angle: 0 } };
  DeviceOrientationEvent = {};

  tilt(angles) {
    this.dispatchEvent(Object.assign(new Event("deviceorientation"), angles));
  }
}

function viewing() {
  const said = [];
  const moved = [];
  const sources = {};
  const buttons = {};
  const panel = {
    connect: (actions) => Object.assign(buttons, actions),
    open: (source) => said.push(`open ${source}`),
    close: () => {},
    say: (state) => said.push(state),
    fail: ({ title }) => said.push(title),
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
  return { view, buttons, sources, said, moved, opened };
}

test("another source takes over, and the same one switches off", async () => {
  const { view, sources, said, opened } = viewing();
  view.toggle("camera");
  await opened("camera");
  view.toggle("tilt");
  assert.equal(sources.camera.closed, 1);
  await opened("tilt");
  assert.ok(view.on);
  view.toggle("tilt");
  assert.equal(sources.tilt.closed, 1);
  assert.equal(view.on, false);
  assert.deepEqual(said, ["open camera", "open tilt"]);
});

test("a source that opens after it was switched off and on again is closed", async () => {
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

test("eyes move the view, and centring is the source's where it has its own", async () => {
  const { view, buttons, sources, said, moved, opened } = viewing();
  view.toggle("tilt");
  let centered = 0;
  await opened("tilt", { center: () => (centered += 1) });
  buttons.center();
  assert.equal(centered, 0, "nothing was seen yet");
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
  assert.deepEqual(said.slice(-3), ["following", "no face", "centered"]);
});

test("a source that fails is told in words", async () => {
  const { view, sources, said } = viewing();
  view.toggle("tilt");
  sources.tilt.reject(new SensorTrouble("denied"));
  await settled();
  assert.equal(view.on, false);
  view.toggle("camera");
  sources.camera.reject(new DOMException("", "NotFoundError"));
  await settled();
  assert.deepEqual(said, [
    "open tilt",
    "The sensors are blocked",
    "open camera",
    "No camera was found",
  ]);
});

test("a phone that is held still, of which browsers tell nothing, keeps its rotation", async () => {
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

test("the sensors of a phone tell its rotation until they are closed", async () => {
  const window = new FakeWindow();
  const rotations = [];
  const opening = openTiltSource(
    window,
    (rotation) => rotations.push(rotation),
    () => 5,
  );
  await settled();
  window.tilt({ alpha: null, beta: null, gamma: null }); // of a browser without sensors
  assert.deepEqual(rotations, []);
  window.tilt({ alpha: 0, beta: 0, gamma: 0 });
  const { close } = await opening;
  close();
  window.tilt({ alpha: 9, beta: 0, gamma: 0 });
  assert.equal(rotations.length, 1);
});

test("a user may refuse the sensors, and a page without TLS has none", async () => {
  const window = new FakeWindow();
  window.DeviceOrientationEvent.requestPermission = async () => "denied";
  await assert.rejects(openTiltSource(window, assert.fail, assert.fail), { kind: "denied" });
  window.DeviceOrientationEvent.requestPermission = () => Promise.reject(new Error("no click"));
  await assert.rejects(openTiltSource(window, assert.fail, assert.fail), { kind: "denied" });
  window.isSecureContext = false;
  await assert.rejects(openTiltSource(window, assert.fail, assert.fail), { kind: "insecure" });
});

test("only a device that is held has the button", () => {
  const window = new FakeWindow();
  window.matchMedia = () => ({ matches: true });
  assert.equal(canTilt(window), true);
  window.matchMedia = () => ({ matches: false });
  assert.equal(canTilt(window), false);
});
