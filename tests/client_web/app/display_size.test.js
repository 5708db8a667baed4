import assert from "node:assert/strict";
import { test } from "node:test";

import { DisplaySize } from "../../../client_web/js/app/display_size.js";

test("the display size is sent in device pixels, once after the last change", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  /** @type {any[]} */ const sent = [];
  const frame = { clientHeight: 900.4 };
  const size = new DisplaySize(
    frame,
    (text) => sent.push(JSON.parse(text)) > 0,
    () => 3,
  );
  size.send();
  assert.deepEqual(sent, [{ type: "display", size_px: 2701 }]);
  for (const clientHeight of [800, 700, 600]) {
    frame.clientHeight = clientHeight;
    size.changed();
    context.mock.timers.tick(100);
  }
  assert.equal(sent.length, 1);
  context.mock.timers.tick(200);
  assert.deepEqual(sent.slice(1), [{ type: "display", size_px: 1800 }]);
});

test("a page that shows no stills says so", () => {
  /** @type {any[]} */ const sent = [];
  new DisplaySize(
    { clientHeight: 100 },
    (text) => sent.push(JSON.parse(text)) > 0,
    () => 2,
    false,
  ).send();
  assert.deepEqual(sent, [{ type: "display", size_px: 200, stills: false }]);
});

test("no size is sent while the frame is hidden", () => {
  /** @type {string[]} */ const sent = [];
  new DisplaySize(
    { clientHeight: 0 },
    (text) => sent.push(text) > 0,
    () => 2,
  ).send();
  assert.deepEqual(sent, []);
});

test("the size is repeated until the page closes, because messages may be lost", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  /** @type {string[]} */ const sent = [];
  const life = new AbortController();
  const window = /** @type {any} */ (new EventTarget());
  const size = new DisplaySize(
    { clientHeight: 10 },
    (text) => sent.push(text) > 0,
    () => 1,
  );
  size.follow(window, life.signal);
  context.mock.timers.tick(4000);
  assert.equal(sent.length, 2);
  window.dispatchEvent(new Event("resize"));
  context.mock.timers.tick(250);
  assert.equal(sent.length, 3);
  life.abort();
  window.dispatchEvent(new Event("resize"));
  context.mock.timers.tick(10_000);
  assert.equal(sent.length, 3);
});
