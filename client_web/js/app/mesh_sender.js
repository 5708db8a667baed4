// Sends mesh frames to the server while this viewer drives the face.

import { meshMessage } from "../connection/messages.js";
import { FramePacer } from "../timing/frame_pacer.js";

const MOVING_EVERY_MS = 14; // every refresh of a 60 Hz screen, with some tolerance
const STILL_EVERY_MS = 30; // every second refresh: keeps a face at rest driven, and blinking

export class MeshSender {
  #face;
  #journal;
  #send;
  #now;
  #pacer;
  #sentAt_ms = 0;

  /** Number of the last mesh frame that was sent. @type {number | null} */
  seq = null;

  /**
   * @param {import("../input/face.js").Face} face
   * @param {Pick<import("../timing/frame_journal.js").FrameJournal, "meshSent">} journal
   * @param {(text: string) => boolean} send returns whether the message was sent
   * @param {Pick<import("../timing/view_clock.js").Timers, "now" | "requestFrame">} timers
   */
  constructor(face, journal, send, timers) {
    this.#face = face;
    this.#journal = journal;
    this.#send = send;
    this.#now = timers.now;
    this.#pacer = new FramePacer(() => this.#sendNow(), timers.requestFrame);
  }

  /** Send the present face, at most once per animation frame. */
  request() {
    this.#pacer.request();
  }

  /**
   * Send the face again if it is time to.
   *
   * @param {number} now_ms
   */
  repeat(now_ms) {
    const every_ms = this.#face.moving ? MOVING_EVERY_MS : STILL_EVERY_MS;
    if (this.#face.driving && now_ms - this.#sentAt_ms >= every_ms) this.request();
  }

  #sendNow() {
    const now_ms = this.#now();
    const frame = this.#face.meshFrame(now_ms);
    this.#sentAt_ms = now_ms;
    if (!this.#send(meshMessage(frame))) return;
    this.seq = frame.seq;
    this.#journal.meshSent(frame.seq, now_ms);
  }
}
