// One session of the JPEG fallback: single images over a WebSocket, where WebRTC is blocked. Has the
// same interface as `WebRtcSession`. A session is never reused.

import { access } from "./access.js";
import { parseJson, toEvent } from "./messages.js";
import { queueAddress } from "./refusal.js";
import { Trouble } from "./trouble.js";
import { shownAt } from "./whep.js";

const SILENCE_TIMEOUT_MS = 6_000; // the server repeats a still image every second
const FIRST_IMAGE_TIMEOUT_MS = 25_000; // a busy server may take this long to fill the first cache
const CHECK_EVERY_MS = 500;
const MOST_WAITING_BYTES = 4096; // twenty views: later ones would arrive too late
const CLOSE_CODE_BASE = 4000; // the server closes with this plus the HTTP status it would answer
const OPEN = 1; // `WebSocket.OPEN`

/**
 * @typedef {object} JpegEvents
 * @property {(event: import("./messages.js").ServerEvent) => void} onEvent
 * @property {() => void} onReady messages can be sent
 * @property {(image: number) => void} onImage the image with this number is drawn on the canvas
 */

export class JpegSession {
  #canvas;
  #events;
  /** @type {URL | undefined} */ #httpAddress;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {(trouble: Trouble) => void} */ #end = () => {};
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;
  #received = { bytes: 0, frames: 0 };
  #receivedAt_ms = performance.now();
  #nextImage = 0; // number of the image that follows the last frame event

  /** @type {"jpeg"} */ delivery = "jpeg";

  /** @type {string | null} the session's id on the server */
  id = null;

  /** @type {URL | null} where the session is on the server; null before the server has told its id */
  address = null;

  /** @type {Promise<Trouble>} resolves with the reason when the session is over */
  ended;

  /**
   * @param {HTMLCanvasElement} canvas the images are drawn on
   * @param {JpegEvents} events
   */
  constructor(canvas, events) {
    if (typeof WebSocket === "undefined") throw new Trouble("unsupported");
    this.#canvas = canvas;
    this.#events = events;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /**
   * Open the session.
   *
   * @param {URL} endpoint the stream's WHEP address; the WebSocket is next to it
   * @param {AbortSignal} signal gives up
   * @param {string | null} [ticket] of the queue
   * @param {number} [display_px] rows of the frame on the screen, in its own pixels; 0: unknown
   * @throws {Trouble} if the server cannot be reached or refuses
   */
  async open(endpoint, signal, ticket = null, display_px = 0) {
    this.#httpAddress = access.beside("pictures", endpoint);
    this.#httpAddress.search = endpoint.search;
    const address = socketAddress(shownAt(this.#httpAddress, display_px));
    const socket = new WebSocket(address, access.subprotocols(address, ticket));
    this.#socket = socket;
    /** @type {Promise<void>} */
    const opened = new Promise((resolve) => {
      socket.onmessage = ({ data }) => this.#receive(socket, data, resolve);
    });
    socket.onclose = ({ code, reason }) => this.#end(this.#closeReason(socket, code, reason));
    signal.addEventListener("abort", () => this.close(), { once: true });
    const trouble = await Promise.race([opened, this.ended]);
    if (trouble) throw trouble;
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
    this.#events.onReady();
  }

  /**
   * Send a message now or never: a late pose is worthless.
   *
   * @param {string} text
   * @returns {boolean} whether it was sent
   */
  send(text) {
    const socket = this.#socket;
    if (socket?.readyState !== OPEN || socket.bufferedAmount > MOST_WAITING_BYTES) return false;
    socket.send(text);
    return true;
  }

  /** @returns {Promise<{bytes: number, frames: number}>} received so far */
  async received() {
    return this.#received;
  }

  /** End the session. */
  close() {
    clearInterval(this.#timer);
    this.#socket?.close();
    if (this.address) access.sessionClosed(this.address);
    this.#end(new Trouble("lost"));
  }

  /**
   * @param {WebSocket} socket
   * @param {string | Blob} data
   * @param {() => void} opened
   */
  #receive(socket, data, opened) {
    this.#receivedAt_ms = performance.now();
    if (typeof data !== "string") {
      this.#show(socket, data);
      return;
    }
    /** @type {any} */
    const message = parseJson(data);
    if (message?.type === "session") {
      this.id = message.id;
      this.address = this.#sessionAddress(message.id);
      opened();
      return;
    }
    if (message?.type === "frame") {
      this.#nextImage = message.picture;
      // An image has no RTP timestamp: its number identifies it instead.
      message.rtp_timestamp = message.picture;
    }
    const event = toEvent(message);
    if (event) this.#events.onEvent(event);
  }

  /** @param {string} id */
  #sessionAddress(id) {
    const opened = /** @type {URL} */ (this.#httpAddress);
    const address = new URL(`../../sessions/${id}`, opened);
    access.sessionNamed(address, opened);
    return address;
  }

  /**
   * Draw an image and acknowledge it: the server sends the next one only then.
   *
   * @param {WebSocket} socket
   * @param {Blob} blob
   */
  async #show(socket, blob) {
    const image = this.#nextImage;
    this.#received.bytes += blob.size;
    this.#received.frames += 1;
    const bitmap = await createImageBitmap(blob).catch(() => null);
    if (socket.readyState !== OPEN) return;
    if (bitmap) {
      this.#draw(bitmap);
      this.#events.onImage(image);
    }
    socket.send(JSON.stringify({ type: "shown", picture: image }));
  }

  /** @param {ImageBitmap} bitmap */
  #draw(bitmap) {
    const { width, height } = bitmap;
    const canvas = this.#canvas;
    if (canvas.width !== width || canvas.height !== height)
      Object.assign(canvas, { width, height });
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  #check() {
    const timeout_ms = this.#received.frames ? SILENCE_TIMEOUT_MS : FIRST_IMAGE_TIMEOUT_MS;
    if (performance.now() - this.#receivedAt_ms > timeout_ms) this.#end(new Trouble("stalled"));
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   * @param {string} reason
   */
  #closeReason(socket, code, reason) {
    const facts = { status: code - CLOSE_CODE_BASE, detail: reason };
    if (this.id !== null) {
      return new Trouble(facts.status === 401 ? "expired" : "lost", { detail: reason });
    }
    if (facts.status === 404) return new Trouble("unknown-stream", facts);
    if (facts.status === 503) {
      // The server may also be starting or shutting down: the answer to joining the queue states which.
      const queue = queueAddress(new URL(socket.url));
      return new Trouble("full", { ...facts, retry_after_s: 5, queue });
    }
    if (facts.status > 0) return new Trouble("refused", facts);
    return new Trouble("unreachable", { detail: reason });
  }
}

/**
 * Return the WebSocket's address, on the host where video would come from: unlike `fetch`, a
 * WebSocket follows no redirect.
 *
 * @param {URL} httpAddress
 */
function socketAddress(httpAddress) {
  const address = new URL(httpAddress);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address;
}
