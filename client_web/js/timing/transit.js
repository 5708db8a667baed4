// How long it takes from sending a view until its frame can be displayed, and from that, how long
// before a refresh of the screen a view must be sent. No clock inside.

import { ascending, rank } from "./percentiles.js";

const MAX_SAMPLES = 120; // two seconds at 60 per second
const RECENT_SAMPLES = 20;
const MIN_SAMPLES = 8; // fewer give no estimate
const COST_OF_LATE = 2; // refreshes: a late frame is displayed one late and displaces the next
const MARGIN_MS = 0.5; // browsers round their clocks

/** @typedef {import("./frame_journal.js").FrameRecord} FrameRecord */

export class Transit {
  /** @type {number[]} from the planned sending of a view to its frame being decoded */
  #times_ms = [];
  /** @type {number[]} from the server's sending of a frame to its being decoded */
  #downlinks_ms = [];

  /**
   * Add a displayed frame.
   *
   * @param {FrameRecord} frame
   * @param {readonly FrameRecord[]} skipped frames it replaced before they were displayed
   */
  displayed(frame, skipped) {
    const planned_ms = frame.view?.planned_ms ?? null;
    if (!frame.firstOfView || planned_ms === null) return;
    for (const other of skipped) this.#addSkipped(other);
    const { presentationTime } = frame.metadata;
    if (presentationTime === undefined) return;
    keep(this.#times_ms, presentationTime - planned_ms);
    if (frame.server_sent_ms !== null) {
      keep(this.#downlinks_ms, presentationTime - frame.server_sent_ms);
    }
  }

  /**
   * Return the lead at which waiting and missed refreshes together cost least. A longer lead makes
   * every frame older, a shorter one makes more frames miss their refresh.
   *
   * @param {number} interval_ms between two refreshes
   * @returns {number | null} from sending to refresh; null while too little is known
   */
  lead_ms(interval_ms) {
    if (this.#times_ms.length < MIN_SAMPLES) return null;
    const late_ms = COST_OF_LATE * interval_ms;
    // The recent samples count by themselves too, so that the lead grows soon when the way slows.
    const recent = this.#times_ms.slice(-RECENT_SAMPLES);
    return MARGIN_MS + Math.max(cheapest(this.#times_ms, late_ms), cheapest(recent, late_ms));
  }

  /**
   * A frame that was replaced before it was displayed was most often late, so leaving it out would
   * bias the estimate. When it was decoded is unknown: the usual downlink stands in.
   *
   * @param {FrameRecord} frame
   */
  #addSkipped({ view, server_sent_ms }) {
    const downlink_ms = rank(ascending(this.#downlinks_ms), 0.5);
    if (server_sent_ms === null || downlink_ms === null || !view) return;
    keep(this.#times_ms, server_sent_ms + downlink_ms - (view.planned_ms ?? 0));
  }
}

/**
 * @param {readonly number[]} times_ms
 * @param {number} late_ms cost of a missed refresh
 */
function cheapest(times_ms, late_ms) {
  const sorted = ascending(times_ms);
  /** @param {number} index */
  const cost = (index) => sorted[index] + (late_ms * (sorted.length - 1 - index)) / sorted.length;
  let best = sorted.length - 1;
  for (let index = best - 1; index >= 0; index--) if (cost(index) < cost(best)) best = index;
  return sorted[best];
}

/**
 * @param {number[]} values
 * @param {number} value
 */
function keep(values, value) {
  values.push(value);
  if (values.length > MAX_SAMPLES) values.shift();
}
