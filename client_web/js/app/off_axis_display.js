// Shows frames that were rendered for the viewer's eyes as the screen's window shows them.

import { cssTransform, imageToWindow } from "../reprojection/screen_window.js";

export class OffAxisDisplay {
  #frame;
  #journal;
  #head;

  /**
   * @param {HTMLElement} frame a square; its images are transformed by the CSS variable `--off-axis`
   * @param {Pick<import("../timing/frame_journal.js").FrameJournal, "displayedView">} journal
   * @param {Pick<import("../input/head_window.js").HeadWindow, "window">} head
   */
  constructor(frame, journal, head) {
    this.#frame = frame;
    this.#journal = journal;
    this.#head = head;
  }

  /** Must be called when a frame is displayed. */
  frameDisplayed() {
    const view = this.#journal.displayedView;
    if (!view) return; // its event is late: the frame before was rendered for nearly the same view
    this.#frame.style.setProperty("--off-axis", this.#transform(view));
  }

  /** @param {import("../timing/frame_journal.js").SentView} view */
  #transform({ pose, fov_y_rad }) {
    if (!pose || fov_y_rad === null) return "none";
    const map = imageToWindow({ pose, fov_y_rad }, this.#head.window);
    return cssTransform(map, this.#frame.clientWidth);
  }
}
