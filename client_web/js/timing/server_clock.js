// The server's clock seen from this page: the offset that the quickest of the latest pings shows.
// No clock inside, no network.

const WINDOW_MS = 10_000; // clocks of two machines drift apart by some 50 us a second
const LARGEST_COUNT = 64;

/**
 * @typedef {object} Pong the `events` channel's answer to a ping
 * @property {"pong"} type
 * @property {number} sent_at_ms this page's clock, as it was sent
 * @property {number} received_at_ms the server's clock
 * @property {number} [fps] most frames a second that it draws
 */

export class ServerClock {
  /** @type {{at_ms: number, roundTrip_ms: number, offset_ms: number}[]} */ #samples = [];

  /** @param {Pong} pong @param {number} now_ms when it came */
  heard({ sent_at_ms, received_at_ms }, now_ms) {
    const roundTrip_ms = now_ms - sent_at_ms;
    if (!(roundTrip_ms >= 0) || !Number.isFinite(received_at_ms)) return;
    const offset_ms = received_at_ms - (sent_at_ms + now_ms) / 2;
    this.#samples.push({ at_ms: now_ms, roundTrip_ms, offset_ms });
    while (this.#samples.length > LARGEST_COUNT || now_ms - this.#samples[0].at_ms > WINDOW_MS)
      this.#samples.shift();
  }

  /** A new session may be on another machine. */
  forget() {
    this.#samples = [];
  }

  /**
   * Of a round trip, nobody can tell how much was the way there: the offset is off by half of the
   * quickest at most, which is why the quickest counts.
   *
   * @returns {{offset_ms: number, error_ms: number, round_trip_ms: number} | null} server less page
   */
  get estimate() {
    if (!this.#samples.length) return null;
    const best = this.#samples.reduce((a, b) => (b.roundTrip_ms < a.roundTrip_ms ? b : a));
    return {
      offset_ms: best.offset_ms,
      error_ms: best.roundTrip_ms / 2,
      round_trip_ms: best.roundTrip_ms,
    };
  }
}
