// One eye of a headset: its frames and its view. The left one has the page's own session, the right one
// another session of the same stream.

import { Orbit } from "../input/orbit.js";
import { Viewpoint } from "../input/viewpoint.js";
import { Telemetry } from "../timing/telemetry.js";
import { createConnection } from "./connect.js";
import { ImageDisplay } from "./image_display.js";
import { PageState } from "./page_state.js";
import { ServerEvents } from "./server_events.js";
import { ViewSender } from "./view_sender.js";

/**
 * @typedef {import("../reprojection/screen_window.js").WindowView} WindowView
 *
 * @typedef {object} EyeParts
 * @property {Pick<ImageDisplay, "element" | "delivery">} display
 * @property {Pick<import("../timing/frame_journal.js").FrameJournal, "displayedView">} journal
 * @property {Viewpoint} viewpoint
 * @property {Pick<ViewSender, "send">} viewSender
 * @property {() => void} close
 */

/** Shows one eye the view from its position. */
export class HeadsetEye {
  #parts;
  /** @type {WindowView | null} */ #view = null;

  /** @param {EyeParts} parts */
  constructor(parts) {
    this.#parts = parts;
    parts.viewpoint.follow(() => this.#view);
  }

  /**
   * Ask for frames from a view; the newest one counts.
   *
   * @param {WindowView} view
   */
  setView(view) {
    this.#view = view;
    this.#parts.viewSender.send();
  }

  /** @returns {{source: TexImageSource, view: WindowView} | null} what is displayed; null if unknown */
  get displayed() {
    const { display, journal } = this.#parts;
    const { pose, fov_y_rad } = journal.displayedView ?? { pose: null, fov_y_rad: null };
    if (!display.delivery || !pose || fov_y_rad === null) return null;
    return { source: display.element, view: { pose, fov_y_rad } };
  }

  /** Stop requesting views. */
  close() {
    this.#parts.viewpoint.follow(null);
    this.#parts.close();
  }
}

/**
 * Open another session of a stream for an eye. It has neither sound nor elements on the page.
 *
 * @param {Document} page
 * @param {URL} endpoint the stream's WHEP address
 * @param {import("../timing/view_clock.js").Timers} timers
 * @returns {HeadsetEye}
 */
export function openEyeSession(page, endpoint, timers) {
  const telemetry = new Telemetry();
  const orbit = new Orbit();
  const viewpoint = new Viewpoint(orbit);
  const send = (/** @type {string} */ text) => manager.session?.send(text) ?? false;
  const viewSender = new ViewSender(orbit, viewpoint, telemetry, send, timers);
  const [body, note, draining] = ["div", "p", "p"].map((name) => page.createElement(name));
  const video = page.createElement("video");
  Object.assign(video, { muted: true, playsInline: true });
  const [jpeg, still] = [page.createElement("canvas"), page.createElement("canvas")];
  const display = new ImageDisplay({ body, video, jpeg, still, note }, timers, {
    onSession: () => telemetry.restart(),
    onFrame: (metadata, now_ms) => telemetry.displayed(metadata, now_ms),
    onVideoFrame: () => {},
    onFirstFrame: () => manager.frameDisplayed(),
  });
  const unseen = { show: () => {} }; // the page's own session reports the same problems
  const state = new PageState(
    { body, draining, notice: unseen, signIn: unseen },
    { onConnecting: () => {}, onLeavingLive: () => {} },
  );
  const errorLine = { textContent: null };
  const events = new ServerEvents(telemetry, viewSender.clock, errorLine, () =>
    manager.serverDrains(),
  );
  const manager = createConnection(endpoint, {
    ...{ display, jpegCanvas: jpeg, state, events, voice: null },
    sendView: () => viewSender.send(),
  });
  viewSender.homeKnown(); // all views come from the headset
  void manager.run();
  const { journal } = telemetry;
  const close = () => manager.close();
  return new HeadsetEye({ display, journal, viewpoint, viewSender, close });
}
