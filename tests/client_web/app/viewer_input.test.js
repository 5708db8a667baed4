import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { ViewerInput } from "../../../client_web/js/app/viewer_input.js";
import { Telemetry } from "../../../client_web/js/timing/telemetry.js";
import { FakeDocument, FakeElement, FakeTimers } from "../fakes.js";

globalThis.Element ??= FakeElement;

let life;
beforeEach(() => {
  life = new AbortController();
  globalThis.window = new EventTarget();
  mock.timers.enable({ apis: ["setInterval"] });
});
afterEach(() => {
  life.abort();
  mock.timers.reset();
  delete globalThis.window;
});

/** The input of a page whose session is open, and the messages that it sends. */
function input() {
  const page = new FakeDocument();
  const sent = [];
  let steps = 0;
  const timers = new FakeTimers();
  const output = {
    telemetry: new Telemetry(),
    send: (text) => {
      sent.push(JSON.parse(text));
      return true;
    },
    onViewStep: () => {
      steps += 1;
    },
  };
  const viewer = new ViewerInput(page, output, timers);
  viewer.viewSender.homeKnown();
  viewer.listen({ c: () => sent.push("controls") }, life.signal);
  return { viewer, page, sent, timers, steps: () => steps };
}

const key = (name) => Object.assign(new Event("keydown", { cancelable: true }), { key: name });

test("the view is sent every second, so that the server keeps the session", () => {
  const { sent } = input();
  const before = sent.length;
  mock.timers.tick(3000);
  assert.deepEqual(
    sent.slice(before).map(({ type }) => type),
    ["view", "view", "view"],
  );
});

test("an arrow key moves the view, and the page knows that it was touched", () => {
  const { viewer, page, sent, timers } = input();
  const { yaw_rad } = viewer.orbit;
  window.dispatchEvent(key("ArrowLeft"));
  timers.frame();
  timers.frame();
  assert.notEqual(viewer.orbit.yaw_rad, yaw_rad);
  assert.equal(sent.at(-1).type, "view");
  assert.ok(page.body.classes.has("touched"));
});

test("other keys run the page's actions", () => {
  const { sent } = input();
  window.dispatchEvent(key("c"));
  assert.equal(sent.at(-1), "controls");
});

test("the view glides home, and every step of it is drawn", () => {
  const { viewer, timers, steps } = input();
  viewer.orbit.turnTo(0.3, 0.1);
  viewer.resetView();
  for (let i = 0; i < 200; i++) timers.frame();
  assert.ok(Math.abs(viewer.orbit.yaw_rad) < 1e-3);
  assert.ok(steps() > 5);
});

test("a preset drives the face, until it is released", () => {
  const { viewer, page, sent, timers } = input();
  const presets = page.querySelector("#controls").querySelector("[data-presets]");
  presets.children[1].click();
  timers.frame();
  assert.equal(sent.at(-1).type, "mesh");
  assert.ok(page.body.classes.has("driving"));
  viewer.release();
  for (let i = 0; i < 200; i++) timers.frame();
  assert.equal(viewer.face.driving, false);
  assert.ok(!page.body.classes.has("driving"));
});
