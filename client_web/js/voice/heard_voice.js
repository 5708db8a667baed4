// Statistics of a viewer's browser on the voice that it plays.

const SAMPLES_PER_MS = 48; // of the RTP clock of Opus (RFC 7587)
// A browser plays 10 ms at a time of packets of 20 ms, and reports the packet: on average, what is
// played lies half of the other 10 ms behind the packet's beginning.
const WITHIN_PACKET_MS = 5;

/**
 * @typedef {object} Report
 * @property {number} packets received so far
 * @property {number} level linear, 1 at full scale
 * @property {number} held_s of all samples, in the jitter buffer
 * @property {number} emitted samples that left it
 * @property {number} output_s of all samples, from the jitter buffer to the loudspeaker
 * @property {number} played samples
 *
 * @typedef {Pick<RTCRtpReceiver, "getStats" | "getSynchronizationSources">} Receiver
 */

const NOTHING = { packets: 0, level: 0, held_s: 0, emitted: 0, output_s: 0, played: 0 };

/** Follows one receiver. */
export class HeardVoice {
  #receiver;
  #origin_ms;
  /** @type {Report} */ #report = NOTHING;
  /** @type {Report} */ #before = NOTHING;
  /** @type {{rtp_timestamp: number, captured_at_ms: number} | null} */ #clock = null;

  /**
   * @param {Receiver} receiver
   * @param {number} origin_ms `performance.timeOrigin`
   */
  constructor(receiver, origin_ms) {
    this.#receiver = receiver;
    this.#origin_ms = origin_ms;
  }

  /**
   * Note which RTP timestamp was captured when.
   *
   * @param {{rtp_timestamp: number, captured_at_ms: number}} event on the server's clock
   */
  clockReceived({ rtp_timestamp, captured_at_ms }) {
    this.#clock = { rtp_timestamp, captured_at_ms };
  }

  /** Read the browser's statistics. */
  async update() {
    const report = { ...NOTHING };
    for (const stats of (await this.#receiver.getStats()).values()) {
      if (stats.type === "inbound-rtp") {
        report.packets = stats.packetsReceived ?? 0;
        report.level = stats.audioLevel ?? 0;
        report.held_s = stats.jitterBufferDelay ?? 0;
        report.emitted = stats.jitterBufferEmittedCount ?? 0;
      } else if (stats.type === "media-playout") {
        report.output_s = stats.totalPlayoutDelay ?? 0;
        report.played = stats.totalSamplesCount ?? 0;
      }
    }
    this.#before = this.#report;
    this.#report = report;
  }

  /** @returns {boolean} whether packets have arrived between the last two updates */
  get arriving() {
    return this.#report.packets > this.#before.packets;
  }

  /** @returns {number} linear, 1 at full scale */
  get level() {
    return this.#report.level;
  }

  /** @returns {number} delay of the last emitted sound in the jitter buffer */
  get held_ms() {
    const emitted = this.#report.emitted - this.#before.emitted;
    return emitted > 0 ? ((this.#report.held_s - this.#before.held_s) / emitted) * 1000 : 0;
  }

  /**
   * How long what is heard at present took since its capture.
   *
   * @returns {{path_ms: number, at_ms: number} | null} `path_ms` by the server's clock at its
   *   capture, and this page's when it is heard; null while nothing is heard
   */
  path() {
    const [source] = this.#receiver.getSynchronizationSources();
    if (!source || !this.#clock) return null;
    const ticks = (source.rtpTimestamp - this.#clock.rtp_timestamp) | 0; // wraps around
    const captured_at_ms = this.#clock.captured_at_ms + ticks / SAMPLES_PER_MS;
    const at_ms = source.timestamp - this.#origin_ms;
    const heard_at_ms = at_ms + this.#output_ms - WITHIN_PACKET_MS;
    return { path_ms: heard_at_ms - captured_at_ms, at_ms };
  }

  /** From the jitter buffer to the loudspeaker; 0 where the browser does not report it. */
  get #output_ms() {
    const played = this.#report.played - this.#before.played;
    return played > 0 ? ((this.#report.output_s - this.#before.output_s) / played) * 1000 : 0;
  }
}
