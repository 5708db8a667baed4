// Sends the tracked face to a stream, as it is now: a frame that cannot be sent at once is dropped.

import { packedMesh } from "../connection/packed_mesh.js";
import { PercentileWindow, RateWindow } from "../timing/percentiles.js";

/**
 * @typedef {import("../tracking/face_tracker.js").TrackedFrame} TrackedFrame
 * @typedef {import("../connection/mesh_publisher.js").MeshPublisher} MeshPublisher
 *
 * @typedef {object} PublishMeasurements
 * @property {number} tracked_fps frames tracked per second
 * @property {number} sent_fps
 * @property {number} sent_kbps of frames and voice, without the headers of the network
 * @property {number} voice_kbps
 * @property {import("../timing/percentiles.js").Percentiles} tracking_ms to find the face in a frame
 * @property {number} dropped frames that could not be sent at once
 * @property {boolean} face_found
 */

export class FacePublisher {
  #driver;
  #now;
  #origin_ms;
  #seq;
  /** @type {readonly string[]} */ #names;
  #trackedFrames = new RateWindow();
  #sentFrames = new RateWindow();
  #sentBytes = new RateWindow();
  #voiceBytes = new RateWindow();
  #counts = { tracked: 0, sent: 0, bytes: 0, dropped: 0 };
  #tracking = new PercentileWindow({ age_ms: 5000 });
  #found = false;

  /** Where frames go; null while there is no connection. @type {MeshPublisher | null} */
  publisher = null;

  /**
   * Where the sending of frames is recorded, once the stream is watched.
   *
   * @type {Pick<import("../timing/frame_journal.js").FrameJournal, "meshSent"> | null}
   */
  journal = null;

  /**
   * @param {Pick<import("../tracking/face_driver.js").FaceDriver, "next">} driver
   * @param {readonly string[]} names coefficients in the avatar's order
   * @param {number} firstSeq above those of any publisher before, so that this one takes over
   * @param {() => number} now `performance.now`
   * @param {number} origin_ms `performance.timeOrigin`: capture times are sent in milliseconds since
   *   1970, the browser's clock of the voice, so that the server can compare both
   */
  constructor(driver, names, firstSeq, now, origin_ms) {
    this.#driver = driver;
    this.#names = names;
    this.#seq = firstSeq;
    this.#now = now;
    this.#origin_ms = origin_ms;
  }

  /** @returns {number} `seq` of the last frame that was sent */
  get seq() {
    return this.#seq;
  }

  /**
   * Send the face of a tracked frame.
   *
   * @param {TrackedFrame} frame
   */
  publish({ face, capturedAt_ms, arrivedAt_ms, trackedAt_ms, tracking_ms }) {
    const now_ms = this.#now();
    this.#found = face !== null;
    this.#counts.tracked += 1;
    this.#trackedFrames.add(this.#counts.tracked, now_ms);
    this.#tracking.add(tracking_ms, now_ms);
    const pose = this.#driver.next(face, capturedAt_ms);
    if (!pose) return;
    const message = packedMesh({
      seq: this.#seq + 1,
      captured_at_ms: this.#origin_ms + capturedAt_ms,
      head: pose.head,
      expression: this.#names.map((name) => pose.expression[name] ?? 0),
    });
    if (!this.publisher?.send(message)) {
      this.#counts.dropped += 1;
      return;
    }
    this.#seq += 1;
    const sent_ms = this.#now();
    this.#count(message.byteLength, sent_ms);
    this.journal?.meshSent(this.#seq, sent_ms, capturedAt_ms, {
      camera: arrivedAt_ms - capturedAt_ms,
      track: trackedAt_ms - arrivedAt_ms,
      filter: sent_ms - trackedAt_ms,
    });
  }

  /**
   * Record how much of the voice was sent.
   *
   * @param {number} bytes by the present connection so far
   * @param {number} now_ms
   */
  voiceSent(bytes, now_ms) {
    this.#voiceBytes.add(bytes, now_ms);
  }

  /**
   * @param {number} now_ms
   * @returns {PublishMeasurements}
   */
  measured(now_ms) {
    const voice_kbps = kilobits(this.#voiceBytes.rate(now_ms));
    return {
      tracked_fps: this.#trackedFrames.rate(now_ms),
      sent_fps: this.#sentFrames.rate(now_ms),
      sent_kbps: kilobits(this.#sentBytes.rate(now_ms)) + voice_kbps,
      voice_kbps,
      tracking_ms: this.#tracking.summary(now_ms),
      dropped: this.#counts.dropped,
      face_found: this.#found,
    };
  }

  /**
   * @param {number} bytes
   * @param {number} now_ms
   */
  #count(bytes, now_ms) {
    this.#counts.sent += 1;
    this.#counts.bytes += bytes;
    this.#sentFrames.add(this.#counts.sent, now_ms);
    this.#sentBytes.add(this.#counts.bytes, now_ms);
  }
}

/** @param {number} bytes */
function kilobits(bytes) {
  return (bytes * 8) / 1000;
}
