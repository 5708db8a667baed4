// The journal of frames: one record per frame, which gathers the view and the mesh frame it was
// rendered for, the server's event, and when it was displayed. Latency, stages, transit times, the
// displayed pose and late reprojection all read these records.
//
// A frame is identified by its RTP timestamp. Its event and its display may come in either order.
// All times are on this page's own clock, so latency needs no comparison of clocks.

const MAX_RECORDS = 512; // frames, views and mesh frames each: 8 s at 60 per second

/**
 * @typedef {import("../connection/messages.js").FrameEvent} FrameEvent
 * @typedef {import("../connection/messages.js").Pose} Pose
 *
 * @typedef {object} SentView
 * @property {number} seq
 * @property {number} sent_at_ms
 * @property {number} moved_at_ms when the pose became current: before it was sent, or then
 * @property {number | null} planned_ms when it was to be sent; null if it was not scheduled
 * @property {Pose | null} pose
 * @property {number | null} fov_y_rad full vertical angle; null for the avatar's own
 *
 * @typedef {object} SentMesh
 * @property {number} seq
 * @property {number} sent_at_ms
 * @property {number} moved_at_ms when the face was like this: before it was sent, or then
 * @property {Record<string, number>} [stages] durations of stages before it was sent, if known
 *
 * @typedef {object} Origin the oldest movement of this viewer that a frame is the first to show
 * @property {"view" | "mesh"} kind
 * @property {number} sent_at_ms
 * @property {number} moved_at_ms
 * @property {Record<string, number>} [stages] durations of stages before it was sent
 *
 * @typedef {object} FrameRecord what is known of one frame
 * @property {number} rtp_timestamp
 * @property {FrameEvent | null} event the server's, once it has arrived
 * @property {SentView | null} view the view it was rendered for, if this page sent it
 * @property {SentMesh | null} mesh the mesh frame it shows, if this page sent it
 * @property {number | null} server_sent_ms when the server sent it; null if unknown
 * @property {boolean} firstOfView whether no frame before was rendered for its scheduled view
 * @property {number | null} displayed_at_ms once it is displayed
 * @property {Partial<VideoFrameCallbackMetadata>} metadata the browser's, once it is displayed
 * @property {Origin | null} origin known once it has its event and is displayed
 *
 * @typedef {FrameRecord & {event: FrameEvent, displayed_at_ms: number}} DisplayedFrame
 */

export class FrameJournal {
  /** @type {Map<number, FrameRecord>} by RTP timestamp, in the order of the events */
  #frames = new Map();
  /** @type {Map<number, SentView>} */ #views = new Map();
  /** @type {Map<number, SentMesh>} */ #meshes = new Map();
  /** @type {FrameRecord | null} */ #displayed = null;
  #newestViewRendered = -Infinity;
  /** @type {number | null} */ #viewShown = null;
  /** @type {number | null} */ #meshShown = null;
  #onDisplayed;

  /**
   * @param {(frame: DisplayedFrame, skipped: FrameRecord[]) => void} [onDisplayed] called once for
   *   each frame that has its event and is displayed. `skipped`: earlier frames that were the first
   *   of their view, but replaced by this one before they were displayed.
   */
  constructor(onDisplayed = () => {}) {
    this.#onDisplayed = onDisplayed;
  }

  /**
   * Record a view that was sent.
   *
   * @param {object} view
   * @param {number} view.seq
   * @param {number} view.sent_at_ms
   * @param {number} [view.moved_at_ms]
   * @param {number | null} [view.planned_ms]
   * @param {Pose | null} [view.pose]
   * @param {number | null} [view.fov_y_rad]
   */
  viewSent({ seq, sent_at_ms, moved_at_ms = sent_at_ms, planned_ms = null, ...view }) {
    const { pose = null, fov_y_rad = null } = view;
    keep(this.#views, seq, { seq, sent_at_ms, moved_at_ms, planned_ms, pose, fov_y_rad });
  }

  /**
   * Record a mesh frame that was sent.
   *
   * @param {number} seq
   * @param {number} sent_at_ms
   * @param {number} [moved_at_ms] when a camera saw the face
   * @param {Record<string, number>} [stages] what was done between the two, milliseconds by stage
   */
  meshSent(seq, sent_at_ms, moved_at_ms = sent_at_ms, stages) {
    keep(this.#meshes, seq, { seq, sent_at_ms, moved_at_ms, ...(stages && { stages }) });
  }

  /**
   * Record the server's event of a frame.
   *
   * @param {FrameEvent} event
   * @param {number | null} [offset_ms] the server's clock minus this page's; null if unknown
   */
  eventReceived(event, offset_ms = null) {
    const record = this.#record(event.rtp_timestamp);
    if (record.event) return;
    // To the end: frames are skipped in the order of their events.
    this.#frames.delete(record.rtp_timestamp);
    this.#frames.set(record.rtp_timestamp, record);
    record.event = event;
    record.view = this.#viewOf(event);
    record.mesh = this.#meshes.get(event.mesh_seq ?? NaN) ?? null;
    const sent_ms = event.clock_ms?.sent;
    record.server_sent_ms =
      offset_ms === null || sent_ms === undefined ? null : sent_ms - offset_ms;
    record.firstOfView = this.#isFirstOfView(record.view);
    this.#complete(record);
  }

  /**
   * Record that a frame is displayed from now on.
   *
   * @param {number | undefined} rtpTimestamp undefined if the browser does not report it
   * @param {number} displayed_at_ms
   * @param {Partial<VideoFrameCallbackMetadata>} [metadata]
   */
  displayed(rtpTimestamp, displayed_at_ms, metadata = {}) {
    this.#displayed = rtpTimestamp === undefined ? null : this.#record(rtpTimestamp);
    if (!this.#displayed || this.#displayed.displayed_at_ms !== null) return;
    Object.assign(this.#displayed, { displayed_at_ms, metadata });
    this.#complete(this.#displayed);
  }

  /** Discard all records, because a new session restarts the numbers of its frames. */
  restart() {
    this.#frames.clear();
    this.#views.clear();
    this.#meshes.clear();
    this.#displayed = this.#viewShown = this.#meshShown = null;
    this.#newestViewRendered = -Infinity;
  }

  /** @returns {number | null} the newest view that was displayed */
  get viewShown() {
    return this.#viewShown;
  }

  /** @returns {number | null} the newest mesh frame of this page that was displayed */
  get meshShown() {
    return this.#meshShown;
  }

  /** @returns {Pose | null} the displayed frame's camera; null if this page did not send its view */
  get displayedPose() {
    return this.displayedView?.pose ?? null;
  }

  /** @returns {SentView | null} the displayed frame's view; null if this page did not send it */
  get displayedView() {
    return this.#viewOf(this.#displayed?.event);
  }

  /** @returns {import("../connection/messages.js").HeadPose | null} the head in the displayed frame */
  get displayedHead() {
    return this.#displayed?.event?.head ?? null;
  }

  /** @param {number} rtp_timestamp */
  #record(rtp_timestamp) {
    return (
      this.#frames.get(rtp_timestamp) ??
      keep(this.#frames, rtp_timestamp, {
        rtp_timestamp,
        event: null,
        view: null,
        mesh: null,
        server_sent_ms: null,
        firstOfView: false,
        displayed_at_ms: null,
        metadata: {},
        origin: null,
      })
    );
  }

  /** @param {FrameEvent | null | undefined} event */
  #viewOf(event) {
    return this.#views.get(event?.view_seq ?? NaN) ?? null;
  }

  /** @param {SentView | null} view */
  #isFirstOfView(view) {
    if (!view || view.planned_ms === null || view.seq <= this.#newestViewRendered) return false;
    this.#newestViewRendered = view.seq;
    return true;
  }

  /** @param {FrameRecord} record */
  #complete(record) {
    if (!record.event || record.displayed_at_ms === null) return;
    record.origin = this.#originOf(record);
    this.#onDisplayed(/** @type {DisplayedFrame} */ (record), this.#skippedBefore(record));
  }

  /**
   * A frame may be the first to show both a new view and a new mesh frame: its latency is counted
   * from the older of the two.
   *
   * @param {FrameRecord} record
   * @returns {Origin | null}
   */
  #originOf({ view, mesh }) {
    const newView = view && view.seq > (this.#viewShown ?? -Infinity) ? view : null;
    const newMesh = mesh && mesh.seq > (this.#meshShown ?? -Infinity) ? mesh : null;
    if (newView) this.#viewShown = newView.seq;
    if (newMesh) this.#meshShown = newMesh.seq;
    if (newView && (!newMesh || newView.moved_at_ms <= newMesh.moved_at_ms)) {
      return { kind: "view", sent_at_ms: newView.sent_at_ms, moved_at_ms: newView.moved_at_ms };
    }
    if (!newMesh) return null;
    const { sent_at_ms, moved_at_ms, stages } = newMesh;
    return { kind: "mesh", sent_at_ms, moved_at_ms, ...(stages && { stages }) };
  }

  /** @param {FrameRecord} record */
  #skippedBefore(record) {
    /** @type {FrameRecord[]} */
    const skipped = [];
    if (!record.firstOfView) return skipped;
    for (const other of this.#frames.values()) {
      if (other === record) break;
      if (!other.firstOfView || other.displayed_at_ms !== null) continue;
      other.firstOfView = false; // counted once
      skipped.push(other);
    }
    return skipped;
  }
}

/**
 * Store a value and forget the oldest one if there are too many.
 *
 * @template T
 * @param {Map<number, T>} map
 * @param {number} key
 * @param {T} value
 * @returns {T}
 */
function keep(map, key, value) {
  map.set(key, value);
  if (map.size > MAX_RECORDS) map.delete(/** @type {number} */ (map.keys().next().value));
  return value;
}
