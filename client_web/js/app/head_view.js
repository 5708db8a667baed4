// Shows the face from where the viewer's own eyes are: measured with their webcam, whose image stays in
// the page, or by the sensors of their phone.

import { EyeFollower } from "../input/eye_follower.js";
import { HeadWindow, PHONE_PIXEL_M } from "../input/head_window.js";
import { describeCameraTrouble, describeTrackerTrouble } from "../panels/publish_texts.js";
import { describeSensorTrouble } from "../panels/tilt_texts.js";
import { TrackerTrouble } from "../tracking/tracker_trouble.js";
import { OffAxisDisplay } from "./off_axis_display.js";
import { recallScreen, rememberScreen } from "./remembered_screen.js";
import { SensorTrouble } from "./tilt_source.js";

const LATENCY_EVERY_MS = 1000; // the latency is a percentile of many frames and changes slowly
const HAND_HELD = "(pointer: coarse) and (max-width: 760px)"; // too small for the outline of a card
const DEFAULT_LATENCY_MS = 50; // until a frame was displayed

/**
 * @typedef {import("../connection/messages.js").Vector} Vector
 * @typedef {import("../panels/head_view_panel.js").EyeSource} EyeSource
 *
 * @typedef {object} Tracking
 * @property {() => void} close
 * @property {() => void} [center] takes the present position for the one in front; missing where the
 *   calibration of the screen is for that
 *
 * @typedef {(onEyes: (eyes: Vector | null, at_ms: number) => void,
 *   onTrouble: (error: unknown) => void) => Promise<Tracking>} OpenEyes `eyes` are in the space of a
 *   camera, metres; null while they are not seen
 *
 * @typedef {object} HeadViewParts
 * @property {import("../panels/head_view_panel.js").HeadViewPanel} panel
 * @property {HTMLElement} frame shows the frames; a square
 * @property {Pick<import("../timing/frame_journal.js").FrameJournal, "displayedView">} journal
 * @property {import("../input/viewpoint.js").Viewpoint} viewpoint
 * @property {(captured_ms: number) => void} viewMoved
 * @property {() => number | null} latency_ms median from sending a view to its display
 * @property {Record<EyeSource, OpenEyes>} sources
 * @property {() => number} now
 */

export class HeadView {
  #parts;
  #follower;
  #display;
  /** @type {Tracking | null} */ #tracking = null;
  /** @type {Vector | null} */ #eyes = null;
  #opened = 0;
  #opening = 0;
  /** @type {EyeSource} that was opened last */ #source = "camera";
  #latencyAt_ms = Number.NEGATIVE_INFINITY;

  /** The screen as a window; has the avatar's own view. */
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

  /**
   * Switch on, off, or to another source.
   *
   * @param {EyeSource} source
   */
  toggle(source) {
    if (this.on && this.#source === source) this.stop();
    else void this.start(source);
  }

  /**
   * Follow the viewer's eyes.
   *
   * @param {EyeSource} source measures where they are
   */
  async start(source) {
    const { panel, sources, viewpoint } = this.#parts;
    if (this.on) this.stop();
    this.#source = source;
    this.#measureFrame();
    panel.open(source, this.window.pixel_m);
    this.#opened += 1;
    const opening = this.#opened;
    this.#opening = opening;
    try {
      const tracking = await sources[source](
        (eyes, at_ms) => this.#tracked(eyes, at_ms),
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

  /** Close the source; the view returns to the avatar's own. */
  stop() {
    this.#end();
    this.#parts.panel.close();
  }

  /** Take the present position of the eyes as in front of the middle of the frame. */
  center() {
    if (!this.#eyes) return;
    if (this.#tracking?.center) this.#tracking.center();
    else {
      this.window.center(this.#eyes);
      this.#remember();
    }
    this.#parts.panel.showState("centered");
  }

  /**
   * @param {Vector | null} eyes
   * @param {number} at_ms
   */
  #tracked(eyes, at_ms) {
    this.#parts.panel.showState(eyes ? "following" : "no face");
    if (!eyes) return;
    this.#eyes = eyes;
    this.#measureFrame();
    this.#follower.latency_ms = this.#latency_ms();
    this.#follower.measured(eyes, at_ms);
    this.#parts.viewMoved(at_ms);
  }

  #measureFrame() {
    this.window.side_px = this.#parts.frame.clientWidth || this.window.side_px;
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
    this.#parts.panel.fail(describe(error));
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

/** @param {unknown} error */
function describe(error) {
  if (error instanceof TrackerTrouble) return describeTrackerTrouble(error);
  if (error instanceof SensorTrouble) return describeSensorTrouble(error);
  return describeCameraTrouble(error);
}
