// What the viewer really gets: frames shown, true latency, cache age, bitrate, stages. No page, no clock.

import { ServerClock } from "./server_clock.js";
import { FrameLog, LATELY_MS, stagePercentiles } from "./frame_log.js";
import { LatencyJoin } from "./latency.js";
import { PercentileWindow, RateWindow } from "./percentiles.js";
import { frameStages } from "./stages.js";
import { Transit } from "./transit.js";

/**
 * @typedef {{p50: number | null, p95: number | null, count: number}} Percentiles
 * @typedef {object} Measured
 * @property {number} fps_shown
 * @property {Percentiles} pose_to_photon_ms from a pose's being current until its first frame's light
 * @property {Percentiles} sent_to_photon_ms from sending it
 * @property {boolean} latency_measurable false where the browser does not say which frame it shows
 * @property {Percentiles} cache_age_ms
 * @property {number} bitrate_kbps
 * @property {Record<string, number>} stages_ms medians on the server
 * @property {{offset_ms: number, error_ms: number, round_trip_ms: number} | null} clock the server's
 *   less this page's; null until a ping was answered
 * @property {number | null} view_seq_shown
 * @property {number | null} mesh_seq_shown
 * @property {number} server_errors messages of this page that the server could not take
 */

export class Telemetry {
  #frames = new RateWindow();
  #bytes = new RateWindow(4000);
  #latency = new PercentileWindow();
  #latencyOnceSent = new PercentileWindow();
  #cacheAge = new PercentileWindow({ size: 1200 });
  /** @type {Map<string, PercentileWindow>} */ #stages = new Map();
  #measurable = true;
  #serverErrors = 0;
  #clock = new ServerClock();

  /** Every frame shown lately. */
  log = new FrameLog();

  /** Of views, until they could be shown. */
  transit = new Transit();

  /** Tell it what is sent. */
  join = new LatencyJoin(
    (latency_ms, at_ms) => this.#latency.add(latency_ms, at_ms),
    (frame) => this.#logFrame(frame),
  );

  /**
   * @param {VideoFrameCallbackMetadata} metadata of a frame on its way to the screen
   * @param {number} now_ms
   */
  displayed(metadata, now_ms) {
    const { presentedFrames, expectedDisplayTime, rtpTimestamp } = metadata;
    this.#frames.add(presentedFrames, now_ms);
    this.#measurable = rtpTimestamp !== undefined;
    if (this.#measurable) this.join.displayed(rtpTimestamp, expectedDisplayTime, metadata);
  }

  /**
   * Counts frames where the browser does not tell which one it shows.
   *
   * @param {number} frames decoded so far @param {number} now_ms
   */
  decoded(frames, now_ms) {
    this.#frames.add(frames, now_ms);
    this.#measurable = false;
  }

  /** @param {import("./latency.js").FrameReport} report @param {number} now_ms */
  reported(report, now_ms) {
    this.transit.reported(report, this.#clock.estimate?.offset_ms ?? null);
    this.join.reported(report);
    if (Number.isFinite(report.cache_age_ms)) this.#cacheAge.add(report.cache_age_ms, now_ms);
    for (const [stage, value] of Object.entries(report.stages_ms ?? {}))
      this.#addStage(stage, value, now_ms);
  }

  /** @param {import("./server_clock.js").Pong} pong @param {number} now_ms */
  ponged(pong, now_ms) {
    this.#clock.heard(pong, now_ms);
  }

  serverError() {
    this.#serverErrors += 1;
  }

  /** @param {number} bytes received so far @param {number} now_ms */
  received(bytes, now_ms) {
    this.#bytes.add(bytes, now_ms);
  }

  /** A new session: what the last one measured says nothing of it. */
  restart() {
    this.join.restart();
    this.transit.restart();
    [
      ...[this.#frames, this.#bytes, this.#cacheAge],
      ...[this.#latency, this.#latencyOnceSent],
    ].forEach((window) => window.clear());
    this.#stages.clear();
    this.#clock.forget();
    this.log.clear();
  }

  /** @param {number} now_ms @returns {Measured} */
  measured(now_ms) {
    const stages = [...this.#stages].map(([name, window]) => [name, window.summary(now_ms).p50]);
    return {
      fps_shown: this.#frames.rate(now_ms),
      pose_to_photon_ms: this.#latency.summary(now_ms),
      sent_to_photon_ms: this.#latencyOnceSent.summary(now_ms),
      latency_measurable: this.#measurable,
      cache_age_ms: this.#cacheAge.summary(now_ms),
      bitrate_kbps: (this.#bytes.rate(now_ms) * 8) / 1000,
      stages_ms: Object.fromEntries(stages.filter(([, value]) => value !== null)),
      clock: this.#clock.estimate,
      view_seq_shown: this.join.viewShown,
      mesh_seq_shown: this.join.meshShown,
      server_errors: this.#serverErrors,
    };
  }

  /**
   * @param {number} now_ms
   * @returns {ReturnType<typeof stagePercentiles>} of the whole way, over the last seconds
   */
  frameStages(now_ms) {
    return stagePercentiles(this.log.since(now_ms - LATELY_MS));
  }

  /** @param {import("./stages.js").JoinedFrame} frame */
  #logFrame(frame) {
    const { report, displayed_at_ms, origin } = frame;
    this.transit.shown(frame);
    if (origin) this.#latencyOnceSent.add(displayed_at_ms - origin.sent_at_ms, displayed_at_ms);
    const clock = this.#clock.estimate;
    this.log.add({
      presented_at_ms: displayed_at_ms,
      rtp_timestamp: report.rtp_timestamp,
      view_seq: report.view_seq ?? null,
      mesh_seq: report.mesh_seq ?? null,
      moved: origin?.kind ?? null,
      moved_at_ms: origin?.moved_at_ms ?? null,
      sent_at_ms: origin?.sent_at_ms ?? null,
      pose_to_photon_ms: origin ? displayed_at_ms - origin.moved_at_ms : null,
      cache_age_ms: report.cache_age_ms ?? null,
      clock_offset_ms: clock?.offset_ms ?? null,
      clock_error_ms: clock?.error_ms ?? null,
      stages: frameStages(frame, clock?.offset_ms ?? null),
    });
  }

  #addStage(stage, value, now_ms) {
    if (!Number.isFinite(value)) return;
    if (!this.#stages.has(stage)) this.#stages.set(stage, new PercentileWindow({ age_ms: 5000 }));
    this.#stages.get(stage).add(value, now_ms);
  }
}
