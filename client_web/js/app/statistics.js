// Measures regularly and shows the measurements in the bar and the stages panel.

import { pingMessage } from "../connection/messages.js";
import { find } from "../panels/dom.js";
import { Hud } from "../panels/hud.js";
import { StagesPanel } from "../panels/stages_panel.js";

const SHOW_EVERY_MS = 250;
const PING_EVERY_MS = 500;
const MEASURE_EVERY_MS = 1000;

/**
 * @typedef {object} Measured
 * @property {import("../timing/telemetry.js").Telemetry} telemetry
 * @property {{readonly live: boolean}} state
 * @property {{readonly reportsFrames: boolean}} display
 * @property {() => Pick<import("../connection/connection_manager.js").Session,
 *   "delivery" | "send" | "received"> | null} session
 */

export class Statistics {
  #hud;
  #stagesPanel;
  #measured;
  #now;

  /**
   * @param {ParentNode} page
   * @param {Measured} measured
   * @param {() => number} now `performance.now`
   */
  constructor(page, measured, now) {
    this.#hud = new Hud(find(page, "#hud"));
    this.#stagesPanel = new StagesPanel(find(page, "#details"));
    this.#measured = measured;
    this.#now = now;
  }

  /** Measure and show until the page is closed. */
  start() {
    setInterval(() => this.show(), SHOW_EVERY_MS);
    setInterval(() => this.ping(), PING_EVERY_MS);
    setInterval(() => this.measure(), MEASURE_EVERY_MS);
  }

  /** Show the present measurements. */
  show() {
    const { telemetry, state } = this.#measured;
    const now_ms = this.#now();
    const measurements = telemetry.measured(now_ms);
    this.#hud.show(measurements, state.live);
    this.#stagesPanel.show(measurements, telemetry.log, now_ms);
  }

  /** Request the server's clock. */
  ping() {
    const session = this.#measured.session();
    // The JPEG fallback sends answers only with the next image, too late to compare clocks.
    if (session?.delivery === "webrtc") session.send(pingMessage(this.#now()));
  }

  /** Read how much was received. */
  async measure() {
    const { telemetry, display, session } = this.#measured;
    const received = await session()?.received();
    if (!received) return;
    telemetry.received(received.bytes, this.#now());
    if (!display.reportsFrames) telemetry.decoded(received.frames, this.#now());
  }
}
