// How long a view takes until a picture drawn for it could be shown, and so how long before a
// refresh of the screen a view should leave. No clock inside.

import { rank } from "./percentiles.js";

const REMEMBERED = 120; // two seconds at 60 a second
const LATELY = 20;
const FEWEST = 8;
const VIEWS = 256;
const COST_OF_LATE = 2; // refreshes: one shown late, and the next one's place taken
const MARGIN_MS = 0.5; // browsers round their clocks

export class Transit {
  /** @type {Map<number, number>} */ #views = new Map();
  /** @type {Map<number, {planned_ms: number, sent_ms: number | null}>} */ #frames = new Map();
  /** @type {number[]} */ #times_ms = [];
  /** @type {number[]} */ #tails_ms = [];

  /** @param {number} seq @param {number} planned_ms when it was to leave */
  viewSent(seq, planned_ms) {
    this.#views.set(seq, planned_ms);
    if (this.#views.size > VIEWS) this.#views.delete(this.#views.keys().next().value);
  }

  /**
   * @param {import("./latency.js").FrameReport} report
   * @param {number | null} offset_ms the server's clock less this page's; null if unknown
   */
  reported({ view_seq, rtp_timestamp, clock_ms }, offset_ms) {
    const planned_ms = this.#views.get(view_seq);
    if (planned_ms === undefined) return; // shown by a frame before
    for (const seq of this.#views.keys()) if (seq <= view_seq) this.#views.delete(seq);
    const sent_ms = offset_ms === null || !clock_ms ? null : clock_ms.sent - offset_ms;
    this.#frames.set(rtp_timestamp, { planned_ms, sent_ms });
  }

  /** @param {import("./stages.js").JoinedFrame} frame that was reported before */
  shown({ report, shown }) {
    const frame = this.#frames.get(report.rtp_timestamp);
    if (!frame) return;
    for (const [rtpTimestamp, other] of this.#frames) {
      this.#frames.delete(rtpTimestamp);
      if (other === frame) break;
      this.#neverSeen(other);
    }
    const { presentationTime } = shown;
    if (presentationTime === undefined) return;
    remember(this.#times_ms, presentationTime - frame.planned_ms);
    if (frame.sent_ms !== null) remember(this.#tails_ms, presentationTime - frame.sent_ms);
  }

  /** A new session: what is under way belongs to the last one. */
  restart() {
    this.#views.clear();
    this.#frames.clear();
  }

  /**
   * The lead at which waiting and being late together cost least: a longer one makes every picture
   * older, a shorter one lets more of them miss their refresh.
   *
   * @param {number} interval_ms between two refreshes
   * @returns {number | null} from sending to refresh; null while too little is known
   */
  lead_ms(interval_ms) {
    if (this.#times_ms.length < FEWEST) return null;
    const late_ms = COST_OF_LATE * interval_ms;
    // The latest ones by themselves too, so that it backs off soon when things get slower.
    const lately = this.#times_ms.slice(-LATELY);
    return MARGIN_MS + Math.max(cheapest(this.#times_ms, late_ms), cheapest(lately, late_ms));
  }

  /** A frame that gave way to a newer one before anybody saw it: above all the late ones. */
  #neverSeen({ planned_ms, sent_ms }) {
    if (sent_ms === null || !this.#tails_ms.length) return;
    const tail_ms = rank([...this.#tails_ms].sort((a, b) => a - b), 0.5);
    remember(this.#times_ms, sent_ms + tail_ms - planned_ms);
  }
}

function cheapest(times_ms, late_ms) {
  const sorted = [...times_ms].sort((a, b) => a - b);
  const cost = (index) => sorted[index] + (late_ms * (sorted.length - 1 - index)) / sorted.length;
  let best = sorted.length - 1;
  for (let index = best - 1; index >= 0; index--) if (cost(index) < cost(best)) best = index;
  return sorted[best];
}

function remember(values, value) {
  values.push(value);
  if (values.length > REMEMBERED) values.shift();
}
