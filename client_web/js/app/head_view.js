// Shows the face from where the viewer's own eyes are, seen by their webcam. The camera's image stays
// in the page.

import { EyeFollower } from "../input/eye_follower.js";
import { HeadWindow, PHONE_PIXEL_M } from "../input/head_window.js";
import { describeCameraTrouble, describeTrackerTrouble } from "../panels/publish_texts.js";
import { eyePosition } from "../tracking/eye_position.js";
import { TrackerTrouble } from "../tracking/tracker_trouble.js";
import { OffAxisDisplay } from "./off_axis_display.js";
import { recallScreen, rememberScreen } from "./remembered_screen.js";

const LATENCY_EVERY_MS = 1000; // the latency is a percentile of many frames and changes slowly
const HAND_HELD = "(pointer: coarse) and (max-width: 760px)"; // too small for the outline of a card
const DEFAULT_LATENCY_MS = 50; // until a frame was displayed

/**
 * @typedef {import("../tracking/face_tracker.js").TrackedFrame} TrackedFrame
 *
 * @typedef {object} Tracking
 * @property {() => void} close
 *
 * @typedef {object} HeadViewParts
 * @property {import("../panels/head_view_panel.js").HeadViewPanel} panel
 * @property {HTMLElement} frame shows the frames; a square
 * @property {Pick<import("../timing/frame_journal.js").FrameJournal, "displayedView">} journal
 * @property {import("../input/viewpoint.js").Viewpoint} viewpoint
 * @property {(captured_ms: number) => void} viewMoved
 * @property {() => number | null} latency_ms median from sending a view to its display
 * @property {(onFrame: (frame: TrackedFrame) => void, onTrouble: (error: unknown) => void)
 *   => Promise<Tracking>} track opens camera and tracker
 * @property {() => number} now
 */

export class HeadView {
  #parts;
  #follower;
  #display;
  /** @type {Tracking | null} */ #tracking = null;
  /** @type {import("../connection/messages.js").Vector | null} */ #eyes = null;
  #opening = 0;
  #latencyAt_ms = Number.NEGATIVE_INFINITY;

  /** The screen as a window; knows the avatar's own view. */
  window = new HeadWindow();

  /** @param {HeadViewParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#follower = new EyeFollower(this.window);
    this.#display = new OffAxisDisplay(parts.frame, parts.journal, this.window);
    if (globalThis.matchMedia?.(HAND_HELD).matches) this.window.pixel_m = PHONE_PIXEL_M;
    Object.assign(this.window, recallScreen());
    parts.panel.connect({
      center: () => this.center(),
      pixelChanged: (pixel_m) => this.#setPixel(pixel_m),
      close: () => this.stop(),
    });
  }

  /** @returns {boolean} */
  get on() {
    return this.#opening > 0 || this.#tracking !== null;
  }

  /** Must be called when a frame is displayed. */
  frameDisplayed() {
    this.#display.frameDisplayed();
  }

  /** Switch on or off. */
  toggle() {
    if (this.on) this.stop();
    else void this.start();
  }

  /** Open the camera and follow the viewer's eyes. */
  async start() {
    const { panel, track, viewpoint } = this.#parts;
    panel.open(this.window.pixel_m);
    this.#opening += 1;
    const opening = this.#opening;
    try {
      const tracking = await track(
        (frame) => this.#tracked(frame),
        (error) => this.#failed(error),
      );
      if (this.#opening !== opening) {
        tracking.close(); // switched off meanwhile
        return;
      }
      this.#tracking = tracking;
      viewpoint.follow((at_ms) => this.#follower.view(at_ms));
    } catch (error) {
      if (this.#opening === opening) this.#failed(error);
    }
  }

  /** Close the camera; the view returns to the avatar's own. */
  stop() {
    this.#end();
    this.#parts.panel.close();
  }

  /** Take the present position of the eyes as in front of the middle of the frame. */
  center() {
    if (!this.#eyes) return;
    this.window.center(this.#eyes);
    this.#remember();
    this.#parts.panel.say("centered");
  }

  /** @param {TrackedFrame} frame */
  #tracked({ face, capturedAt_ms }) {
    this.#parts.panel.say(face ? "following" : "no face");
    if (!face) return;
    this.#eyes = eyePosition(face.matrix);
    this.window.side_px = this.#parts.frame.clientWidth || this.window.side_px;
    this.#follower.latency_ms = this.#latency_ms();
    this.#follower.measured(this.#eyes, capturedAt_ms);
    this.#parts.viewMoved(capturedAt_ms);
  }

  #latency_ms() {
    const { now, latency_ms } = this.#parts;
    const now_ms = now();
    if (now_ms - this.#latencyAt_ms < LATENCY_EVERY_MS) return this.#follower.latency_ms;
    this.#latencyAt_ms = now_ms;
    return latency_ms() ?? DEFAULT_LATENCY_MS;
  }

  /** @param {unknown} error */
  #failed(error) {
    this.#end();
    const text =
      error instanceof TrackerTrouble
        ? describeTrackerTrouble(error)
        : describeCameraTrouble(error);
    this.#parts.panel.fail(text);
  }

  #end() {
    this.#opening = 0;
    this.#tracking?.close();
    this.#tracking = null;
    this.#eyes = null;
    this.#follower.release();
  }

  /** @param {number} pixel_m */
  #setPixel(pixel_m) {
    this.window.pixel_m = pixel_m;
    this.#remember();
  }

  #remember() {
    const { pixel_m, straight } = this.window;
    rememberScreen({ pixel_m, straight });
  }
}
