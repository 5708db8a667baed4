// What the viewer sees of a stream: the frames, and what covers them while it shows the same or a newer
// state: refined stills, late reprojection, and the head on a transparent background.

import { loadStill } from "../connection/stills.js";
import { LateReprojection } from "../reprojection/late_reprojection.js";
import { DisplaySize } from "./display_size.js";
import { ImageDisplay } from "./image_display.js";
import { PageBackground } from "./page_background.js";
import { RefinedImage } from "./refined_image.js";

/**
 * @typedef {object} FrameViewParts
 * @property {import("./elements.js").FrameElements} elements
 * @property {import("../timing/telemetry.js").Telemetry} telemetry records which frame is displayed
 * @property {Pick<import("./viewer_input.js").ViewerInput, "orbit" | "viewpoint">} input
 * @property {string | null} background as in `PageBackground`
 * @property {(text: string) => boolean} send
 * @property {() => {readonly address: URL | null} | null} session whose stills are shown
 *
 * @typedef {object} FrameViewListeners
 * @property {() => void} onFrame called for each displayed frame, once it is recorded
 * @property {() => void} onFirstFrame called for the first frame of each session
 * @property {() => void} onLateLost called when the browser has ended late reprojection
 */

export class FrameView {
  #telemetry;
  #input;

  /** The size of the frames on the screen. */
  size;

  /** The background of the head. */
  background;

  /** Late reprojection. */
  late;

  /** Refined stills. */
  refined;

  /** The frames themselves. */
  display;

  /**
   * @param {Document} page
   * @param {FrameViewParts} parts
   * @param {import("../timing/view_clock.js").Timers} timers
   * @param {AbortSignal} signal
   * @param {FrameViewListeners} listeners
   */
  constructor(page, parts, timers, signal, listeners) {
    const { elements, telemetry, session, send } = parts;
    this.#telemetry = telemetry;
    this.#input = parts.input;
    this.size = new DisplaySize(elements.frame, send, () => devicePixelRatio);
    this.background = new PageBackground(page, elements, parts.background, (words) => {
      elements.errorLine.textContent = words;
    });
    this.late = new LateReprojection(
      elements,
      telemetry.journal,
      () => this.#newestPose(),
      listeners.onLateLost,
    );
    this.refined = new RefinedImage(elements, {
      load: async (number, loading) => {
        const address = session()?.address;
        return address ? loadStill(address, number, loading) : null;
      },
      size_px: () => this.size.size_px,
    });
    telemetry.onDisplayed = ({ event, displayed_at_ms }) =>
      this.refined.frameDisplayed(event.still ?? null, displayed_at_ms);
    this.display = this.#createDisplay(elements, timers, signal, listeners);
  }

  /**
   * @param {import("./elements.js").FrameElements} elements
   * @param {import("../timing/view_clock.js").Timers} timers
   * @param {AbortSignal} signal
   * @param {FrameViewListeners} listeners
   */
  #createDisplay(elements, timers, signal, listeners) {
    const { background, late } = this;
    const backgroundSeen = background.follow(() => this.display.element, signal);
    return new ImageDisplay(elements, timers, {
      onSession: () => this.#sessionBegins(),
      onFrame: (metadata, now_ms) => {
        this.#telemetry.displayed(metadata, now_ms);
        listeners.onFrame();
      },
      onVideoFrame: () => {
        background.frameDisplayed(elements.video);
        late.frameDisplayed();
      },
      onJpegDrawn: () => background.frameDisplayed(elements.jpeg),
      onFirstFrame: () => {
        listeners.onFirstFrame();
        backgroundSeen();
      },
    });
  }

  /** The records and what covers the frames belong to the session before. */
  #sessionBegins() {
    this.#telemetry.restart();
    this.late.clear();
    this.refined.clear();
  }

  /**
   * While the view follows the viewer's eyes, the window's homography already maps each frame to them: it
   * is not reprojected a second time.
   */
  #newestPose() {
    const { orbit, viewpoint } = this.#input;
    return (viewpoint.following ? this.#telemetry.journal.displayedPose : null) ?? orbit.pose();
  }
}
