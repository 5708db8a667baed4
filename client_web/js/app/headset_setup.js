// Connects the headset to the page: its left eye uses the page's own session.

import { find } from "../panels/dom.js";
import { HeadsetEye, openEyeSession } from "./eye_session.js";
import { Headset } from "./headset.js";

/**
 * @typedef {object} HeadsetPage
 * @property {URL} endpoint the stream's WHEP address
 * @property {import("./image_display.js").ImageDisplay} display
 * @property {import("../timing/telemetry.js").Telemetry} telemetry
 * @property {import("./viewer_input.js").ViewerInput} input
 * @property {import("./head_view.js").HeadView} headView
 */

/**
 * @param {Document} page
 * @param {HeadsetPage} parts
 * @param {import("../timing/view_clock.js").Timers} timers
 * @returns {Headset}
 */
export function openHeadset(page, { endpoint, display, telemetry, input, headView }, timers) {
  const { viewpoint, viewSender } = input;
  const { journal } = telemetry;
  const headset = new Headset(page, navigator.xr, {
    button: find(page, "#headset-button"),
    head: headView.window,
    openEyes: () => {
      headView.stop(); // the headset measures where the eyes are
      const close = () => void viewSender.send(); // the view returns to the avatar's own
      return [
        new HeadsetEye({ display, journal, viewpoint, viewSender, close }),
        openEyeSession(page, endpoint, timers),
      ];
    },
    showMessage: (message) => {
      find(page, "#server-error").textContent = message;
    },
  });
  void headset.detect();
  return headset;
}
