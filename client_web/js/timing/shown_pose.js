// Which eye the frame on screen was drawn for, and where its head is: joined by the frame's RTP
// timestamp and its view.

const REMEMBERED = 256;

/** @typedef {import("../input/orbit.js").Pose} Pose */
/** @typedef {import("./latency.js").FrameReport} FrameReport */

export class ShownPose {
  /** @type {Map<number, Pose>} */ #sent = new Map();
  /** @type {Map<number, FrameReport>} */ #reports = new Map();
  /** @type {number | null} */ #shown = null;

  /** @param {number} seq @param {Pose} pose */
  viewSent(seq, pose) {
    remember(this.#sent, seq, pose);
  }

  /** @param {FrameReport} report */
  reported(report) {
    remember(this.#reports, report.rtp_timestamp, report);
  }

  /** @param {number | undefined} rtpTimestamp of the frame that is on screen from now on */
  displayed(rtpTimestamp) {
    this.#shown = rtpTimestamp ?? null;
  }

  /** A new session counts its frames anew. */
  forget() {
    this.#sent.clear();
    this.#reports.clear();
    this.#shown = null;
  }

  /** @returns {Pose | null} null while it is not known, or where it is not one of ours */
  get pose() {
    return this.#sent.get(this.#report?.view_seq) ?? null;
  }

  /** @returns {FrameReport["head"] | null} null while it is not known */
  get head() {
    return this.#report?.head ?? null;
  }

  get #report() {
    return this.#reports.get(this.#shown);
  }
}

function remember(map, key, value) {
  map.set(key, value);
  if (map.size > REMEMBERED) map.delete(map.keys().next().value);
}
