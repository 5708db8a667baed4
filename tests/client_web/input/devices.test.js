// Gestures and keys, on a fake element.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Gestures } from "../../../client_web/js/input/gestures.js";
import { Keyboard } from "../../../client_web/js/input/keyboard.js";
import { NEAREST, Orbit } from "../../../client_web/js/input/orbit.js";
import { FakeElement } from "../fakes.js";

globalThis.Element ??= FakeElement;

function pointing() {
  const element = Object.assign(new FakeElement(), { clientWidth: 400, clientHeight: 800 });
  element.setPointerCapture = () => {};
  const orbit = new Orbit();
  const moments = [];
  new Gestures(element, orbit, (at_ms) => moments.push(at_ms), new AbortController().signal);
  const fire = (type, x, y, { id = 1, at_ms = 0, ...more } = {}) => {
    const event = new Event(type, { cancelable: true });
    const facts = { pointerId: id, clientX: x, clientY: y, button: 0, ...more };
    for (const [name, value] of Object.entries({ ...facts, timeStamp: at_ms })) {
      Object.defineProperty(event, name, { value });
    }
    element.dispatchEvent(event);
    return event;
  };
  return { element, orbit, moments, fire };
}

test("the face follows a drag, and glides on after a release in motion", () => {
  const { element, orbit, moments, fire } = pointing();
  fire("pointerdown", 200, 400);
  assert.ok(element.classes.has("grabbed"));
  for (let i = 1; i <= 4; i++) fire("pointermove", 200 + 10 * i, 400, { at_ms: 16 * i });
  assert.ok(Math.abs(orbit.yaw_rad + (1.9 * 40) / 400) < 1e-9, String(orbit.yaw_rad));
  assert.equal(orbit.moving, false);
  fire("pointerup", 240, 400, { at_ms: 70 });
  assert.equal(orbit.moving, true);
  assert.deepEqual(moments, [16, 32, 48, 64, 70]);
  assert.ok(!element.classes.has("grabbed"));
});

test("a release at rest does not move the view", () => {
  const { orbit, fire } = pointing();
  fire("pointerdown", 200, 400);
  fire("pointermove", 240, 400, { at_ms: 16 });
  fire("pointerup", 240, 400, { at_ms: 500 });
  assert.equal(orbit.moving, false);
});

test("two fingers zoom and do not rotate", () => {
  const { orbit, fire } = pointing();
  fire("pointerdown", 180, 400, { id: 1 });
  fire("pointerdown", 220, 400, { id: 2 });
  fire("pointermove", 230, 400, { id: 2 });
  assert.ok(Math.abs(orbit.zoom - 40 / 50) < 1e-9, String(orbit.zoom));
  assert.equal(orbit.yaw_rad, 0);
});

test("the wheel zooms within limits, in pixels or lines", () => {
  const { orbit, fire } = pointing();
  const event = fire("wheel", 0, 0, { deltaMode: 1, deltaY: -3 });
  assert.equal(event.defaultPrevented, true);
  assert.equal(orbit.moving, true);
  for (let i = 0; i < 20; i++) fire("wheel", 0, 0, { deltaMode: 0, deltaY: -9999 });
  for (let i = 0; i < 300; i++) orbit.step(0.016);
  assert.equal(orbit.zoom, NEAREST);
});

function typing() {
  const target = new EventTarget();
  const orbit = new Orbit();
  const calls = [];
  const actions = { r: () => calls.push("reset") };
  const moved = () => calls.push("moved");
  new Keyboard(target, orbit, moved, actions, new AbortController().signal);
  const fire = (type, key, more = {}) => {
    const event = Object.assign(new Event(type, { cancelable: true }), { key, code: key, ...more });
    target.dispatchEvent(event);
    return event;
  };
  return { target, orbit, calls, fire };
}

test("a held arrow key turns until it is released", () => {
  const { orbit, calls, fire } = typing();
  assert.equal(fire("keydown", "ArrowRight").defaultPrevented, true);
  orbit.step(0.1);
  orbit.step(0.1);
  assert.ok(orbit.yaw_rad > 0.2);
  fire("keydown", "ArrowRight", { repeat: true });
  assert.deepEqual(calls, ["moved"]);
  fire("keyup", "ArrowRight");
  for (let i = 0; i < 100; i++) orbit.step(0.016);
  assert.equal(orbit.moving, false);
});

test("opposite keys cancel each other, and losing the focus releases all", () => {
  const { target, orbit, fire } = typing();
  fire("keydown", "ArrowRight");
  fire("keydown", "ArrowLeft");
  fire("keyup", "ArrowRight");
  target.dispatchEvent(new Event("blur"));
  for (let i = 0; i < 100; i++) orbit.step(0.016);
  assert.equal(orbit.moving, false);
});

test("the action of a key runs once, and not with Ctrl, Alt or Meta", () => {
  const { calls, fire } = typing();
  fire("keydown", "R");
  fire("keydown", "r", { repeat: true });
  fire("keydown", "r", { ctrlKey: true });
  assert.deepEqual(calls, ["reset"]);
});
