import assert from "node:assert/strict";
import { test } from "node:test";

import { CARD_WIDTH_M, DEFAULT_PIXEL_M } from "../../../client_web/js/input/head_window.js";
import { HeadViewPanel } from "../../../client_web/js/panels/head_view_panel.js";
import { FakeElement } from "../fakes.js";

function opened(source = "camera", pixel_m = 0) {
  const element = new FakeElement();
  const buttons = { camera: new FakeElement(), tilt: new FakeElement() };
  const clock = { now_ms: 0 };
  const panel = new HeadViewPanel(element, buttons, () => clock.now_ms);
  const calls = [];
  panel.connect({
    center: () => calls.push("center"),
    close: () => calls.push("close"),
    pixelChanged: (size) => calls.push(size),
  });
  panel.open(source, pixel_m);
  const text = (name) => element.querySelector(`[data-${name}]`).textContent;
  return {
    panel,
    element,
    buttons,
    clock,
    calls,
    text,
    size: element.querySelector("input[type=range]"),
  };
}

test("each source of the eyes has its button and its words", () => {
  const { buttons, element, text } = opened("tilt");
  assert.deepEqual(
    [buttons.camera, buttons.tilt].map((button) => button.getAttribute("aria-pressed")),
    [null, "true"],
  );
  assert.ok(element.classes.has("tilt"));
  assert.equal(text("state"), "Waiting for the sensors…");
  assert.equal(opened("camera").text("state"), "Starting your camera…");
});

test("that the view was centred stays to be read for 1.5 s", () => {
  const { panel, clock, text } = opened();
  panel.showState("centered");
  clock.now_ms = 1499;
  panel.showState("following");
  assert.equal(text("state"), "Centred");
  clock.now_ms = 1500;
  panel.showState("following");
  assert.equal(text("state"), "Following your eyes");
});

test("the panel looks found only while it follows eyes", () => {
  const { panel, element } = opened();
  const found = (state) => {
    panel.showState(state);
    return element.classes.has("found");
  };
  assert.deepEqual(["opening", "following", "no face"].map(found), [false, true, false]);
});

test("a failure keeps the panel open with the reason, and releases the button", () => {
  const { panel, element, buttons, text } = opened();
  panel.showState("following");
  panel.fail({ title: "No camera", detail: "Connect one.", command: "make camera" });
  assert.equal(element.hidden, false);
  assert.equal(buttons.camera.getAttribute("aria-pressed"), "false");
  assert.deepEqual([text("state"), text("detail")], ["No camera", "Connect one. make camera"]);
  assert.deepEqual(
    ["failed", "found"].map((name) => element.classes.has(name)),
    [true, false],
  );
});

test("the outline of a bank card starts at the known size of a pixel, or at the usual one", () => {
  assert.equal(opened("camera", CARD_WIDTH_M / 300).size.value, "300");
  assert.equal(opened("camera", 0).size.value, String(Math.round(CARD_WIDTH_M / DEFAULT_PIXEL_M)));
});

test("an outline as wide as the card gives the size of a pixel", () => {
  const { element, size, calls } = opened();
  Object.assign(size, { value: "400", valueAsNumber: 400 });
  size.dispatchEvent(new Event("input"));
  assert.deepEqual(calls, [CARD_WIDTH_M / 400]);
  assert.equal(element.querySelector("[data-card]").style.width, "400px");
});

test("buttons of the panel centre the view and end it", () => {
  const { element, calls, panel, buttons } = opened();
  element.querySelector("[data-center]").click();
  element.querySelector("[data-close]").click();
  assert.deepEqual(calls, ["center", "close"]);
  panel.close();
  assert.equal(element.hidden, true);
  assert.equal(buttons.camera.getAttribute("aria-pressed"), "false");
});
