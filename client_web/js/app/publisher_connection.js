// Keeps a publisher connected to its stream: reconnects, and notices when somebody else takes over.

import { Backoff } from "../connection/backoff.js";
import { Trouble } from "../connection/trouble.js";
import { claimStream } from "./stream_claim.js";

const LOOK_EVERY_MS = 3000;

/**
 * @typedef {object} ConnectionParts
 * @property {import("../connection/published_streams.js").PublishedStreams} streams
 * @property {(onEnd: (trouble: Trouble) => void)
 *   => Promise<import("../connection/mesh_publisher.js").MeshPublisher>} open
 * @property {import("./face_publisher.js").FacePublisher} faces
 * @property {(trouble: Trouble | null) => void} onTrouble null when it is over
 * @property {() => void} onTakenOver another publisher has taken the stream
 */

export class PublisherConnection {
  #stream;
  #avatar;
  #parts;
  #backoff = new Backoff();
  #closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #look;

  /**
   * @param {string} stream
   * @param {string} avatar with which it is created again if the server has lost it
   * @param {ConnectionParts} parts
   */
  constructor(stream, avatar, parts) {
    this.#stream = stream;
    this.#avatar = avatar;
    this.#parts = parts;
  }

  /**
   * Connect for the first time.
   *
   * @throws {Trouble} if that fails; afterwards it is tried again and again
   */
  async open() {
    await this.#connect();
    this.#look = setInterval(() => this.#lookForOthers(), LOOK_EVERY_MS);
  }

  /** Stop publishing. */
  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#look);
    this.#parts.faces.publisher?.close();
    this.#parts.faces.publisher = null;
  }

  async #connect() {
    const publisher = await this.#parts.open((trouble) => this.#lost(trouble));
    if (this.#closed) publisher.close();
    else this.#parts.faces.publisher = publisher;
  }

  /** @param {Trouble} trouble */
  #lost(trouble) {
    this.#parts.faces.publisher = null;
    if (this.#closed) return;
    this.#parts.onTrouble(trouble);
    this.#retry = setTimeout(() => this.#reconnect(), this.#backoff.next() * 1000);
  }

  async #reconnect() {
    try {
      await claimStream(this.#parts.streams, this.#stream, this.#avatar);
      await this.#connect();
      this.#backoff.reset();
      this.#parts.onTrouble(null);
    } catch (error) {
      this.#lost(error instanceof Trouble ? error : new Trouble("lost"));
    }
  }

  /** A newer publisher's numbers are higher, so that this one's frames are dropped. */
  async #lookForOthers() {
    const found = await this.#parts.streams.find(this.#stream).catch(() => null);
    if (this.#closed || !found?.live || (found.last_seq ?? 0) <= this.#parts.faces.seq) return;
    this.close();
    this.#parts.onTakenOver();
  }
}
