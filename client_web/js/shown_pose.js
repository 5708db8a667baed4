// Which eye the frame on screen was drawn for: joined by the frame's RTP timestamp and its view.

const REMEMBERED = 256;

/** @typedef {import("./orbit.js").Pose} Pose */

export class ShownPose {
  /** @type {Map<number, Pose>} */ #sent = new Map();
  /** @type {Map<number, number | null>} */ #views = new Map();
  /** @type {number | null} */ #shown = null;

  /** @param {number} seq @param {Pose} pose */
  viewSent(seq, pose) {
    remember(this.#sent, seq, pose);
  }

  /** @param {import("./latency.js").FrameReport} report */
  reported({ rtp_timestamp, view_seq }) {
    remember(this.#views, rtp_timestamp, view_seq);
  }

  /** @param {number | undefined} rtpTimestamp of the frame that is on screen from now on */
  displayed(rtpTimestamp) {
    this.#shown = rtpTimestamp ?? null;
  }

  /** A new session counts its frames anew. */
  forget() {
    this.#sent.clear();
    this.#views.clear();
    this.#shown = null;
  }

  /** @returns {Pose | null} null while it is not known, or where it is not one of ours */
  get pose() {
    const view = this.#shown === null ? null : this.#views.get(this.#shown);
    return (view === null || view === undefined ? null : this.#sent.get(view)) ?? null;
  }
}

function remember(map, key, value) {
  map.set(key, value);
  if (map.size > REMEMBERED) map.delete(map.keys().next().value);
}
