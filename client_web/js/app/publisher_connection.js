// Keeps a publisher connected to its stream: reconnects, and notices when another publisher takes over.

import { Backoff } from "../connection/backoff.js";
import { Trouble } from "../connection/trouble.js";
import { claimStream } from "./stream_claim.js";

const LOOK_EVERY_MS = 3000;

/**
 * @typedef {object} ConnectionParts
 * @property {Pick<import("../connection/published_streams.js").PublishedStreams,
 *   "create" | "find">} streams
 * @property {(onEnd: (trouble: Trouble) => void)
 *   => Promise<import("../connection/mesh_publisher.js").MeshPublisher>} open
 * @property {import("./face_publisher.js").FacePublisher} faces
 * @property {() => MediaStreamTrack | null} voice of the present microphone
 * @property {(trouble: Trouble | null) => void} onTrouble null when it is over
 * @property {() => void} onTakenOver another publisher has taken the stream
 */

export class PublisherConnection {
  #stream;
  #avatar;
  #parts;
  #backoff = new Backoff();
  #closed = false;
  /** @type {import("../connection/mesh_publisher.js").MeshPublisher | null} */ #publisher = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #lookTimer;

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
    this.#lookTimer = setInterval(() => this.#lookForOthers(), LOOK_EVERY_MS);
  }

  /** @returns {boolean} whether the present connection can send a voice */
  get canSpeak() {
    return Boolean(this.#publisher?.useVoice);
  }

  /** @returns {Promise<number | null>} bytes of voice that the present connection has sent */
  async voiceBytes() {
    return (await this.#publisher?.voiceBytes?.()) ?? null;
  }

  /** Send the voice of the present microphone instead of the one before. */
  async useVoice() {
    const [publisher, track] = [this.#publisher, this.#parts.voice()];
    if (!publisher) return; // it is sent once there is a connection
    if (publisher.useVoice) await publisher.useVoice(track);
    else if (track) await this.#reopen();
  }

  /** Stop publishing. */
  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#lookTimer);
    this.#use(null);
  }

  /** @param {import("../connection/mesh_publisher.js").MeshPublisher | null} publisher */
  #use(publisher) {
    this.#publisher?.close();
    this.#publisher = this.#parts.faces.publisher = publisher;
  }

  async #connect() {
    const publisher = await this.#parts.open((trouble) => this.#lost(trouble));
    if (this.#closed) publisher.close();
    else this.#use(publisher);
  }

  async #reopen() {
    try {
      await this.#connect(); // the present connection goes on until then
    } catch (error) {
      this.#lost(error instanceof Trouble ? error : new Trouble("lost"));
    }
  }

  /** @param {Trouble} trouble */
  #lost(trouble) {
    this.#use(null);
    if (this.#closed) return;
    this.#parts.onTrouble(trouble);
    this.#retry = setTimeout(() => this.#reconnect(), this.#backoff.next() * 1000);
  }

  async #reconnect() {
    await this.#lookForOthers(); // another publisher that takes over the voice ends this connection
    if (this.#closed) return;
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
