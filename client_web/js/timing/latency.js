// Joins what was sent, what the server says it drew, and what the screen showed, into the true
// pose-to-photon latency: from the moment a pose was current, which may be before it was sent.
// Everything is in this page's own clock, so no clocks are compared.

const REMEMBERED = 512; // frames and messages waiting for their other half: 8 s at 60 a second

/**
 * @typedef {object} FrameReport the `events` channel's message for one video frame
 * @property {"frame"} type
 * @property {number | null} view_seq
 * @property {number | null} mesh_seq
 * @property {{rotation: import("../reprojection/quaternion.js").Quaternion,
 *   translation: import("../reprojection/quaternion.js").Vector} | null} [head] where it is, local to world
 * @property {number} rtp_timestamp
 * @property {number | null} cache_age_ms
 * @property {Record<string, number>} stages_ms
 * @property {number} [convert_ms] the conversion of colours, a part of `stages_ms.encode`
 * @property {Record<string, number | null>} [clock_ms] when it passed which point, server's clock:
 *   view_received, mesh_received, drawn, encoded, sent
 */

export class LatencyJoin {
  /** @type {Map<number, FrameReport>} */ #reports = new Map();
  /** @type {Map<number, {at_ms: number, metadata: object}>} */ #shown = new Map();
  #views = new SentTimes();
  #meshes = new SentTimes();
  #onSample;
  #onFrame;

  /**
   * @param {(latency_ms: number, displayed_at_ms: number) => void} onSample
   * @param {(frame: import("./stages.js").JoinedFrame) => void} [onFrame] called for every frame
   */
  constructor(onSample, onFrame = () => {}) {
    this.#onSample = onSample;
    this.#onFrame = onFrame;
  }

  /**
   * @param {number} seq @param {number} sent_at_ms
   * @param {number} [moved_at_ms] when the eye came to be there, if that was before
   */
  viewSent(seq, sent_at_ms, moved_at_ms = sent_at_ms) {
    this.#views.sent(seq, { sent_at_ms, moved_at_ms });
  }

  /** @param {number} seq @param {number} sent_at_ms */
  meshSent(seq, sent_at_ms) {
    this.#meshes.sent(seq, { sent_at_ms, moved_at_ms: sent_at_ms });
  }

  /** The newest view that has reached the screen, or null. */
  get viewShown() {
    return this.#views.newestShown;
  }

  /** The newest of this viewer's own mesh frames that has reached the screen, or null. */
  get meshShown() {
    return this.#meshes.newestShown;
  }

  /** @param {FrameReport} report */
  reported(report) {
    const shown = this.#shown.get(report.rtp_timestamp);
    if (shown === undefined) return remember(this.#reports, report.rtp_timestamp, report);
    this.#shown.delete(report.rtp_timestamp);
    this.#join(report, shown);
  }

  /**
   * @param {number} rtpTimestamp @param {number} displayed_at_ms
   * @param {Partial<VideoFrameCallbackMetadata>} [metadata] what else the browser tells of it
   */
  displayed(rtpTimestamp, displayed_at_ms, metadata = {}) {
    const report = this.#reports.get(rtpTimestamp);
    const shown = { at_ms: displayed_at_ms, metadata };
    if (!report) return remember(this.#shown, rtpTimestamp, shown);
    this.#reports.delete(rtpTimestamp);
    this.#join(report, shown);
  }

  /** Forgets what is under way: a new session counts its frames anew. */
  restart() {
    this.#reports.clear();
    this.#shown.clear();
    this.#views.forget();
    this.#meshes.forget();
  }

  #join(report, { at_ms, metadata }) {
    const origin = this.#oldestNew(report);
    if (origin) this.#onSample(at_ms - origin.moved_at_ms, at_ms);
    this.#onFrame({ report, shown: metadata, displayed_at_ms: at_ms, origin });
  }

  /** A frame may carry a new view and a new face: it is as late as the older of the two. */
  #oldestNew({ view_seq, mesh_seq }) {
    const view = this.#views.shown(view_seq);
    const mesh = this.#meshes.shown(mesh_seq);
    if (view && (!mesh || view.moved_at_ms <= mesh.moved_at_ms)) return { kind: "view", ...view };
    return mesh && { kind: "mesh", ...mesh };
  }
}

/**
 * When each message was sent, until the first frame that carries it is on screen.
 *
 * @typedef {{sent_at_ms: number, moved_at_ms: number}} Times
 */
class SentTimes {
  /** @type {Map<number, Times>} */ #times = new Map();
  /** @type {number | null} */ newestShown = null;

  sent(seq, times) {
    remember(this.#times, seq, times);
  }

  /** @returns {Times | null} of `seq`, if this is the first frame that shows it */
  shown(seq) {
    if (seq === null || seq === undefined) return null;
    const times = this.#times.get(seq);
    if (times === undefined) return null; // shown already, or not ours: a stream's own face
    for (const older of this.#times.keys()) if (older <= seq) this.#times.delete(older);
    this.newestShown = seq;
    return times;
  }

  forget() {
    this.#times.clear();
    this.newestShown = null;
  }
}

function remember(map, key, value) {
  map.set(key, value);
  if (map.size > REMEMBERED) map.delete(map.keys().next().value);
}
