// Connects the head-tracked view to the page.

import { find } from "../panels/dom.js";
import { HeadViewPanel } from "../panels/head_view_panel.js";
import { openFaceSource } from "./face_source.js";
import { HeadView } from "./head_view.js";

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
  const button = find(page, "#head-button");
  return new HeadView({
    panel: new HeadViewPanel(find(page, "#head-view"), button, now),
    frame: elements.frame,
    journal: telemetry.journal,
    viewpoint: input.viewpoint,
    viewMoved: (captured_ms) => input.viewSender.moved(captured_ms),
    latency_ms: () => telemetry.measured(now()).sent_to_photon_ms.p50,
    track: async (onFrame, onTrouble) =>
      publishing?.followFaces(onFrame) ?? openFaceSource(page, onFrame, onTrouble),
    now,
  });
}
