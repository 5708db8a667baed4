import assert from "node:assert/strict";
import { test } from "node:test";

import { OffAxisDisplay } from "../../../client_web/js/app/off_axis_display.js";
import { HeadWindow } from "../../../client_web/js/input/head_window.js";
import { cssTransform, imageToWindow } from "../../../client_web/js/reprojection/screen_window.js";
import { FakeElement } from "../fakes.js";

const VIEW = { pose: { rotation: [0, 0, 0, 1], position: [0.1, 0, 0.7] }, fov_y_rad: 0.4 };

function display() {
  const frame = Object.assign(new FakeElement(), { clientWidth: 640 });
  const journal = { displayedView: null };
  const head = new HeadWindow();
  head.setHome([0, 0, 0.7], 0.4);
  const transform = () => frame.attributes.get("--off-axis");
  return { shown: new OffAxisDisplay(frame, journal, head), journal, head, transform };
}

test("a frame is mapped to the window from the eye it was rendered for", () => {
  const { shown, journal, head, transform } = display();
  journal.displayedView = VIEW;
  shown.frameDisplayed();
  assert.equal(transform(), cssTransform(imageToWindow(VIEW, head.window), 640));
  assert.match(transform(), /^matrix3d\(/);
});

test("a frame of the avatar's own view is shown as it is", () => {
  const { shown, journal, transform } = display();
  journal.displayedView = { ...VIEW, fov_y_rad: null };
  shown.frameDisplayed();
  assert.equal(transform(), "none");
});

test("a frame whose event is late keeps the transform of the one before", () => {
  const { shown, journal, transform } = display();
  journal.displayedView = VIEW;
  shown.frameDisplayed();
  const before = transform();
  journal.displayedView = null;
  shown.frameDisplayed();
  assert.equal(transform(), before);
});
