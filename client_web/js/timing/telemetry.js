// What the viewer gets: frame rate, latency, cache age, bitrate, stages. Independent of page and clock.

import { FrameJournal } from "./frame_journal.js";
import { FrameLog, RECENT_MS, stagePercentiles } from "./frame_log.js";
import { PercentileWindow, RateWindow } from "./percentiles.js";
import { ServerClock } from "./server_clock.js";
import { frameStages } from "./stages.js";
import { Transit } from "./transit.js";

const BITRATE_SPAN_MS = 4000;
const CACHE_AGE_SAMPLES = 1200; // 20 s at 60 per second: one per frame, unlike latency
const STAGE_AGE_MS = 5000;
const NETWORK_VALID_MS = 3000; // of events that come once a second

/**
 * @typedef {import("./percentiles.js").Percentiles} Percentiles
 *
 * @typedef {object} Measurements
 * @property {number} fps_shown
 * @property {Percentiles} pose_to_photon_ms from a pose becoming current to its first frame's light
 * @property {Percentiles} sent_to_photon_ms from sending it
 * @property {number | null} first_frame_ms from the first pose of the session to its first frame's
 *   light. Poses that were sent before that are not in the latencies: they wait for a first cache
 * @property {boolean} latency_measurable false if the browser does not report which frame it displays
 * @property {Percentiles} cache_age_ms
 * @property {number} bitrate_kbps
 * @property {Record<string, number>} stages_ms medians on the server
 * @property {import("../connection/messages.js").NetworkEvent | null} network null where the server
 *   does not tell
 * @property {number | null} lowered_from rows of frames that this display needs, where the server is
 *   too slow for them; null otherwise
 * @property {import("./server_clock.js").ClockEstimate | null} clock null before the first pong
 * @property {number | null} view_seq_shown
 * @property {number | null} mesh_seq_shown
 * @property {number} server_errors messages of this page that the server refused
 *
 * @typedef {import("./frame_journal.js").DisplayedFrame} DisplayedFrame
 * @typedef {import("./frame_journal.js").FrameRecord} FrameRecord
 */

export class Telemetry {
  #frames = new RateWindow();
  #bytes = new RateWindow(BITRATE_SPAN_MS);
  #poseToPhoton = new PercentileWindow();
  #sentToPhoton = new PercentileWindow();
  #cacheAge = new PercentileWindow({ size: CACHE_AGE_SAMPLES });
  /** @type {number | null} when the session's first frame was displayed */ #startedAt_ms = null;
  /** @type {number | null} */ #firstFrame_ms = null;
  /** @type {Map<string, PercentileWindow>} */ #serverStages = new Map();
  #measurable = true;
  #serverErrors = 0;
  /** @type {{event: import("../connection/messages.js").NetworkEvent, received_at_ms: number} | null} */
  #network = null;
  /** @type {number | null} */ #faceShown = null;
  /** @type {number | null} */ #loweredFrom = null;
  #clock = new ServerClock();

  /** Every frame displayed in the last minutes. */
  log = new FrameLog();

  /** Transit times of views. */
  transit = new Transit();

  /**
   * Called for the first displayed frame of each mesh frame, with the latter's time of capture on the
   * server's clock and the former's time of display on this page's.
   *
   * @type {(captured_at_ms: number, displayed_at_ms: number) => void}
   */
  onFace = () => {};

  /**
   * Called for each displayed frame once its event has arrived.
   *
   * @type {(frame: DisplayedFrame) => void}
   */
  onDisplayed = () => {};

  /** One record per frame. What is sent must be recorded here. */
  journal = new FrameJournal((frame, skipped) => this.#measure(frame, skipped));

  /**
   * Record a frame that goes to the screen.
   *
   * @param {Partial<VideoFrameCallbackMetadata>
   *   & Pick<VideoFrameCallbackMetadata, "presentedFrames" | "expectedDisplayTime">} metadata
   * @param {number} now_ms
   */
  displayed(metadata, now_ms) {
    const { presentedFrames, expectedDisplayTime, rtpTimestamp } = metadata;
    this.#frames.add(presentedFrames, now_ms);
    this.#measurable = rtpTimestamp !== undefined;
    this.journal.displayed(rtpTimestamp, expectedDisplayTime, metadata);
  }

  /**
   * Count frames in a browser that does not call back per frame.
   *
   * @param {number} frames decoded so far
   * @param {number} now_ms
   */
  decoded(frames, now_ms) {
    this.#frames.add(frames, now_ms);
    this.#measurable = false;
  }

  /**
   * Record the server's event of a frame.
   *
   * @param {import("../connection/messages.js").FrameEvent} event
   * @param {number} now_ms
   */
  eventReceived(event, now_ms) {
    this.journal.eventReceived(event, this.#clock.estimate?.offset_ms ?? null);
    const { cache_age_ms, stages_ms = {} } = event;
    if (typeof cache_age_ms === "number") this.#cacheAge.add(cache_age_ms, now_ms);
    for (const [stage, value] of Object.entries(stages_ms)) this.#addStage(stage, value, now_ms);
    this.#loweredFrom = event.lowered_from ?? null;
  }

  /**
   * Record the answer to a ping.
   *
   * @param {import("../connection/messages.js").PongEvent} pong
   * @param {number} now_ms
   */
  pongReceived(pong, now_ms) {
    this.#clock.add(pong, now_ms);
  }

  /**
   * Record the server's measurements of the network.
   *
   * @param {import("../connection/messages.js").NetworkEvent} event
   * @param {number} now_ms
   */
  networkReceived(event, now_ms) {
    this.#network = { event, received_at_ms: now_ms };
  }

  /** Count a message that the server refused. */
  serverError() {
    this.#serverErrors += 1;
  }

  /**
   * Record how much was received.
   *
   * @param {number} bytes so far
   * @param {number} now_ms
   */
  received(bytes, now_ms) {
    this.#bytes.add(bytes, now_ms);
  }

  /** Start over for a new session. Transit times are kept: the new session's are similar. */
  restart() {
    this.journal.restart();
    this.#frames.clear();
    this.#bytes.clear();
    this.#cacheAge.clear();
    this.#poseToPhoton.clear();
    this.#sentToPhoton.clear();
    this.#startedAt_ms = this.#firstFrame_ms = null;
    this.#serverStages.clear();
    this.#clock.clear();
    this.#network = null;
    this.#loweredFrom = null;
    this.log.clear();
  }

  /**
   * Return the present measurements.
   *
   * @param {number} now_ms
   * @returns {Measurements}
   */
  measured(now_ms) {
    /** @type {Record<string, number>} */
    const stages_ms = {};
    for (const [name, window] of this.#serverStages) {
      const { p50 } = window.summary(now_ms);
      if (p50 !== null) stages_ms[name] = p50;
    }
    return {
      fps_shown: this.#frames.rate(now_ms),
      pose_to_photon_ms: this.#poseToPhoton.summary(now_ms),
      sent_to_photon_ms: this.#sentToPhoton.summary(now_ms),
      first_frame_ms: this.#firstFrame_ms,
      latency_measurable: this.#measurable,
      cache_age_ms: this.#cacheAge.summary(now_ms),
      bitrate_kbps: (this.#bytes.rate(now_ms) * 8) / 1000,
      stages_ms,
      network: this.#recentNetwork(now_ms),
      lowered_from: this.#loweredFrom,
      clock: this.#clock.estimate,
      view_seq_shown: this.journal.viewShown,
      mesh_seq_shown: this.journal.meshShown,
      server_errors: this.#serverErrors,
    };
  }

  /**
   * Return percentiles of all stages over the last seconds.
   *
   * @param {number} now_ms
   * @returns {import("./frame_log.js").StageSummaries}
   */
  frameStages(now_ms) {
    return stagePercentiles(this.log.since(now_ms - RECENT_MS));
  }

  /** @param {number} now_ms */
  #recentNetwork(now_ms) {
    const recent = this.#network && now_ms - this.#network.received_at_ms < NETWORK_VALID_MS;
    return recent ? (this.#network?.event ?? null) : null;
  }

  /**
   * @param {DisplayedFrame} frame
   * @param {FrameRecord[]} skipped
   */
  #measure(frame, skipped) {
    const { event, displayed_at_ms, origin } = frame;
    this.transit.displayed(frame, skipped);
    this.#reportFace(frame);
    this.onDisplayed(frame);
    const latency_ms = origin ? displayed_at_ms - origin.moved_at_ms : null;
    this.#addLatency(origin, displayed_at_ms);
    const clock = this.#clock.estimate;
    this.log.add({
      presented_at_ms: displayed_at_ms,
      rtp_timestamp: frame.rtp_timestamp,
      view_seq: event.view_seq ?? null,
      mesh_seq: event.mesh_seq ?? null,
      moved: origin?.kind ?? null,
      moved_at_ms: origin?.moved_at_ms ?? null,
      sent_at_ms: origin?.sent_at_ms ?? null,
      pose_to_photon_ms: latency_ms,
      cache_age_ms: event.cache_age_ms ?? null,
      clock_offset_ms: clock?.offset_ms ?? null,
      clock_error_ms: clock?.error_ms ?? null,
      stages: frameStages(frame, clock?.offset_ms ?? null),
    });
  }

  /**
   * @param {import("./frame_journal.js").Origin | null} origin
   * @param {number} displayed_at_ms
   */
  #addLatency(origin, displayed_at_ms) {
    if (origin && this.#startedAt_ms === null) {
      this.#firstFrame_ms = displayed_at_ms - origin.moved_at_ms;
    }
    this.#startedAt_ms ??= displayed_at_ms;
    if (!origin || origin.sent_at_ms < this.#startedAt_ms) return;
    this.#poseToPhoton.add(displayed_at_ms - origin.moved_at_ms, displayed_at_ms);
    this.#sentToPhoton.add(displayed_at_ms - origin.sent_at_ms, displayed_at_ms);
  }

  /** @param {DisplayedFrame} frame */
  #reportFace({ event, displayed_at_ms }) {
    const captured_at_ms = event.clock_ms?.mesh_captured ?? null;
    if (captured_at_ms === null || event.mesh_seq === this.#faceShown) return;
    this.#faceShown = event.mesh_seq ?? null;
    this.onFace(captured_at_ms, displayed_at_ms);
  }

  /**
   * @param {string} stage
   * @param {number} value
   * @param {number} now_ms
   */
  #addStage(stage, value, now_ms) {
    if (!Number.isFinite(value)) return;
    const window = this.#serverStages.get(stage) ?? new PercentileWindow({ age_ms: STAGE_AGE_MS });
    this.#serverStages.set(stage, window);
    window.add(value, now_ms);
  }
}
