// What the browser keeps of the user's choices and of the screen.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { recallChoices, rememberChoices } from "../../../client_web/js/app/remembered_choices.js";
import { recallScreen, rememberScreen } from "../../../client_web/js/app/remembered_screen.js";

const real = Object.getOwnPropertyDescriptor(globalThis, "localStorage");
const provide = (storage) =>
  Object.defineProperty(globalThis, "localStorage", { ...storage, configurable: true });

let kept;
beforeEach(() => {
  kept = new Map();
  const value = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => kept.set(key, text),
  };
  provide({ value });
});
afterEach(() => {
  if (real) Object.defineProperty(globalThis, "localStorage", real);
  else delete globalThis.localStorage;
});

const forbidden = {
  get: () => {
    throw new DOMException("denied", "SecurityError");
  },
};

test("choices are kept, and what an older version did not know has its default", () => {
  assert.deepEqual([recallChoices().stream, recallChoices().mirrored], ["me", true]);
  rememberChoices({ ...recallChoices(), stream: "ada", mirrored: false });
  assert.deepEqual([recallChoices().stream, recallChoices().mirrored], ["ada", false]);
  kept.set("telewarp.publish", '{"stream": "old"}');
  assert.deepEqual([recallChoices().stream, recallChoices().mesh], ["old", true]);
});

test("unreadable choices are replaced by the defaults, which stay as they are", () => {
  kept.set("telewarp.publish", "no JSON");
  recallChoices().stream = "changed";
  assert.equal(recallChoices().stream, "me");
});

test("a browser that forbids storage remembers nothing and still works", () => {
  provide(forbidden);
  rememberChoices(recallChoices());
  rememberScreen({ pixel_m: 0.0003, straight: [0, 0] });
  assert.equal(recallChoices().stream, "me");
  assert.deepEqual(recallScreen(), {});
});

test("the calibration of a screen is kept", () => {
  const screen = { pixel_m: 0.0003, straight: [0.01, -0.1] };
  assert.deepEqual(recallScreen(), {});
  rememberScreen(screen);
  assert.deepEqual(recallScreen(), screen);
});

test("a calibration that no screen can have is ignored", () => {
  for (const text of [
    "no JSON",
    '{"pixel_m": 0.0003}',
    '{"pixel_m": 0, "straight": [0, 0]}',
    '{"pixel_m": -1, "straight": [0, 0]}',
    '{"pixel_m": "0.0003", "straight": [0, 0]}',
    '{"pixel_m": 0.0003, "straight": [0]}',
    '{"pixel_m": 0.0003, "straight": [0, null]}',
  ]) {
    kept.set("telewarp.screen", text);
    assert.deepEqual(recallScreen(), {}, text);
  }
});
