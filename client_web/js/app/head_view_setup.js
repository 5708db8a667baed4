// Connects the head-tracked view to the page.

import { Tilt } from "../input/tilt.js";
import { find } from "../panels/dom.js";
import { HeadViewPanel } from "../panels/head_view_panel.js";
import { eyePosition } from "../tracking/eye_position.js";
import { openFaceSource } from "./face_source.js";
import { HeadView } from "./head_view.js";
import { canTilt, openTiltSource } from "./tilt_source.js";

/**
 * @typedef {object} HeadViewPage
 * @property {{followFaces: (onFace: (frame: import("../tracking/face_tracker.js").TrackedFrame) =>
 *   void) => {close: () => void}} | null} publishing has a camera already while it is live
 * @property {import("../timing/telemetry.js").Telemetry} telemetry
 * @property {import("./viewer_input.js").ViewerInput} input
 * @property {{frame: HTMLElement}} elements
 */

/**
 * @param {Document} page
 * @param {HeadViewPage} parts
 * @param {import("../timing/view_clock.js").Timers} timers
 * @returns {HeadView}
 */
export function openHeadView(page, { publishing, telemetry, input, elements }, timers) {
  const { now } = timers;
  const buttons = { camera: find(page, "#head-button"), tilt: find(page, "#tilt-button") };
  buttons.tilt.hidden = !canTilt(window);
  const view = new HeadView({
    panel: new HeadViewPanel(find(page, "#head-view"), buttons, now),
    frame: elements.frame,
    journal: telemetry.journal,
    viewpoint: input.viewpoint,
    viewMoved: (captured_ms) => input.viewSender.moved(captured_ms),
    latency_ms: () => telemetry.measured(now()).sent_to_photon_ms.p50,
    sources: {
      camera: async (onEyes, onTrouble) => {
        /** @param {import("../tracking/face_tracker.js").TrackedFrame} frame */
        const onFrame = ({ face, capturedAt_ms }) =>
          onEyes(face && eyePosition(face.matrix), capturedAt_ms);
        return publishing?.followFaces(onFrame) ?? openFaceSource(page, onFrame, onTrouble);
      },
      tilt: async (onEyes) => {
        const tilt = new Tilt();
        const { close } = await openTiltSource(
          window,
          (rotation, at_ms) => onEyes(view.window.eyesTowards(tilt.eyes(rotation, at_ms)), at_ms),
          now,
        );
        return { close, center: () => tilt.center() };
      },
    },
    now,
  });
  return view;
}
