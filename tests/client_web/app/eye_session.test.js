import assert from "node:assert/strict";
import { test } from "node:test";

import { HeadsetEye } from "../../../client_web/js/app/eye_session.js";
import { Orbit } from "../../../client_web/js/input/orbit.js";
import { Viewpoint } from "../../../client_web/js/input/viewpoint.js";

const VIEW = { pose: { rotation: [0, 0, 0, 1], position: [0.03, 0, 0.7] }, fov_y_rad: 0.3 };

function eye() {
  const calls = [];
  const viewpoint = new Viewpoint(new Orbit());
  const display = { element: "the video", delivery: "webrtc" };
  const journal = { displayedView: { ...VIEW } };
  const viewSender = { send: () => calls.push(viewpoint.view(0)) };
  const close = () => calls.push("closed");
  return {
    eye: new HeadsetEye({ display, journal, viewpoint, viewSender, close }),
    ...{ display, journal, viewpoint, calls },
  };
}

test("a view of the eye is sent at once, instead of that of the orbiting camera", () => {
  const { eye: left, calls } = eye();
  left.setView(VIEW);
  assert.deepEqual(calls, [VIEW]);
});

test("the displayed frame comes with the view it was rendered for", () => {
  const { eye: left } = eye();
  assert.deepEqual(left.displayed, { source: "the video", view: VIEW });
});

test("a frame that cannot be placed on the window is not drawn", () => {
  for (const change of [
    ({ display }) => Object.assign(display, { delivery: null }),
    ({ journal }) => Object.assign(journal, { displayedView: null }),
    ({ journal }) => Object.assign(journal.displayedView, { pose: null }),
    ({ journal }) => Object.assign(journal.displayedView, { fov_y_rad: null }),
  ]) {
    const parts = eye();
    change(parts);
    assert.equal(parts.eye.displayed, null);
  }
});

test("closing an eye gives the view back to the orbiting camera", () => {
  const { eye: left, viewpoint, calls } = eye();
  left.setView(VIEW);
  left.close();
  assert.equal(viewpoint.view(0).fov_y_rad, null);
  assert.equal(calls.at(-1), "closed");
});
