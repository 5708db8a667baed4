// Offset between the server's clock and this page's, estimated from pings. No clock inside, no
// network.

const WINDOW_MS = 10_000; // clocks of two machines drift apart by about 50 us per second
const MAX_SAMPLES = 64;

/**
 * @typedef {object} ClockEstimate
 * @property {number} offset_ms the server's clock minus this page's
 * @property {number} error_ms the offset may be wrong by this much
 * @property {number} round_trip_ms of the fastest ping
 */

export class ServerClock {
  /** @type {{at_ms: number, roundTrip_ms: number, offset_ms: number}[]} */ #samples = [];

  /**
   * Add the answer to a ping.
   *
   * @param {Pick<import("../connection/messages.js").PongEvent, "sent_at_ms" | "received_at_ms">} pong
   * @param {number} now_ms when it arrived
   */
  add({ sent_at_ms, received_at_ms }, now_ms) {
    const roundTrip_ms = now_ms - sent_at_ms;
    if (!(roundTrip_ms >= 0) || !Number.isFinite(received_at_ms)) return;
    const offset_ms = received_at_ms - (sent_at_ms + now_ms) / 2;
    this.#samples.push({ at_ms: now_ms, roundTrip_ms, offset_ms });
    while (this.#samples.length > MAX_SAMPLES || now_ms - this.#samples[0].at_ms > WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Forget the samples: a new session may be on another machine. */
  clear() {
    this.#samples = [];
  }

  /**
   * The estimate of the fastest recent ping. How a round trip splits into its two directions is
   * unknown, so the error is at most half of it: the fastest ping has the smallest error.
   *
   * @returns {ClockEstimate | null} null before the first answer
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
