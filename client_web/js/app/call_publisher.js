// Publishes one's own face and voice to the stream of one's seat.

import { FaceDriver } from "../tracking/face_driver.js";
import { FacePublisher } from "./face_publisher.js";
import { PublisherConnection } from "./publisher_connection.js";
import { openPublisher, pathsTo } from "./publisher_path.js";

const KEPT = 900; // faces whose times are remembered: 30 s

/**
 * @typedef {import("../tracking/face_tracker.js").TrackedFrame} TrackedFrame
 * @typedef {import("../connection/trouble.js").Trouble} Trouble
 *
 * @typedef {object} CallPublisherEvents
 * @property {(trouble: Trouble | null) => void} onTrouble the connection was lost; null: it is back
 * @property {(trouble: Trouble | null) => void} onVoice whether the voice is sent: null, or why not
 * @property {(detail: string) => void} onRefused the server refused a frame
 */

export class CallPublisher {
  #voice;
  #events;
  #now;
  #driver = new FaceDriver();
  /** @type {FacePublisher | null} */ #faces = null;
  /** @type {PublisherConnection | null} */ #connection = null;
  /** @type {Map<number, {captured_ms: number, sent_ms: number}>} by `seq` */
  #sentFaces = new Map();

  /** The stream that is published. @type {string | null} */
  stream = null;

  /**
   * @param {() => MediaStreamTrack | null} voice the present microphone's track
   * @param {CallPublisherEvents} events
   * @param {() => number} now `performance.now`
   */
  constructor(voice, events, now) {
    this.#voice = voice;
    this.#events = events;
    this.#now = now;
    this.#driver.mirrored = false; // the others see a person, not a mirror
  }

  /**
   * Publish to the stream of a seat instead of the one before.
   *
   * @param {Pick<import("../connection/call_connection.js").Seat, "stream" | "host">} seat
   * @param {import("../connection/avatars.js").Avatar} avatar that it shows
   * @throws {Trouble} if that fails; afterwards it is tried again and again
   */
  async open({ stream, host }, avatar) {
    this.#connection?.close();
    this.stream = stream;
    const { expression_names: names } = avatar;
    const { timeOrigin } = performance;
    const faces = new FacePublisher(this.#driver, names, Date.now(), this.#now, timeOrigin);
    faces.journal = {
      meshSent: (seq, sent_ms, captured_ms) => this.#sent(seq, sent_ms, captured_ms),
    };
    this.#faces = faces;
    const { onTrouble, onVoice, onRefused } = this.#events;
    const paths = pathsTo(host, stream, this.#voice);
    this.#connection = new PublisherConnection(stream, avatar.id, {
      // The stream belongs to the seat: it is neither created here nor taken over by others.
      streams: { create: async () => true, find: async () => null },
      faces,
      voice: this.#voice,
      open: (onEnd) => openPublisher(paths, this.#voice() !== null, { onEnd, onRefused, onVoice }),
      onTrouble,
      onTakenOver: () => {},
    });
    await this.#connection.open();
  }

  /** Send the voice of the present microphone instead of the one before. */
  useVoice() {
    void this.#connection?.useVoice();
  }

  /** @param {TrackedFrame} frame */
  publish(frame) {
    this.#faces?.publish(frame);
  }

  /** Take the next frames for the neutral face. */
  calibrate() {
    this.#driver.calibration.begin();
  }

  /** @returns {boolean} whether the neutral face is being measured */
  get calibrating() {
    return this.#driver.calibration.measuring;
  }

  /** @returns {ReadonlyMap<number, {captured_ms: number, sent_ms: number}>} the last faces by `seq` */
  get sentFaces() {
    return this.#sentFaces;
  }

  /** @returns {Promise<object | null>} for `window.telewarp` */
  async stats() {
    if (!this.#faces) return null;
    const voice_bytes = (await this.#connection?.voiceBytes()) ?? null;
    return { ...this.#faces.measured(this.#now()), voice_bytes };
  }

  /** Stop publishing. */
  close() {
    this.#connection?.close();
    this.#connection = null;
    this.#faces = null;
  }

  /**
   * @param {number} seq
   * @param {number} sent_ms
   * @param {number | undefined} captured_ms
   */
  #sent(seq, sent_ms, captured_ms) {
    this.#sentFaces.set(seq, { captured_ms: captured_ms ?? this.#now(), sent_ms });
    if (this.#sentFaces.size > KEPT) {
      this.#sentFaces.delete(/** @type {number} */ (this.#sentFaces.keys().next().value));
    }
  }
}
