// One session of single pictures over a WebSocket, for where WebRTC cannot get through. Looks like a
// WebRTC `Session` to its viewer, and like it is never reused.

import { access } from "./access.js";
import { Trouble } from "./trouble.js";
import { queueBeside } from "./whep.js";

const SILENCE_MS = 6_000; // the server repeats a still picture every second
const FIRST_PICTURE_MS = 25_000; // a busy server may take this long to fill the first cache
const CHECK_MS = 500;
const FULL_BUFFER = 65_536; // bytes; live poses behind so many older ones are not worth sending
const CLOSED_FOR = 4000; // a close code is this plus the status code the server would answer with

/**
 * @typedef {object} PictureEvents
 * @property {(text: string) => void} onEvent one event, as the data channel `events` would carry it
 * @property {() => void} onReady messages can be sent
 * @property {(picture: number) => void} onPicture drawn on the canvas, on its way to the screen
 */

export class PictureSession {
  #canvas;
  #events;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {(trouble: Trouble) => void} */ #end;
  /** @type {ReturnType<typeof setInterval> | 0} */ #timer = 0;
  #received = { bytes: 0, frames: 0 };
  #heardAt_ms = performance.now();
  #picture = 0; // the number of the one that comes next

  /** @type {string | null} the session's id on the server */
  id = null;

  /** @type {Promise<Trouble>} resolves when the session is over, with the reason */
  ended;

  /** @param {HTMLCanvasElement} canvas @param {PictureEvents} events */
  constructor(canvas, events) {
    if (typeof WebSocket === "undefined") throw new Trouble("unsupported");
    this.#canvas = canvas;
    this.#events = events;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /**
   * @param {URL} address `ws:` or `wss:`
   * @param {AbortSignal} signal gives up
   * @param {string | null} [ticket] of the waiting line
   * @throws {Trouble} if the server cannot be reached or refuses
   */
  async open(address, signal, ticket = null) {
    const socket = new WebSocket(address, access.subprotocols(address, ticket));
    this.#socket = socket;
    const opened = new Promise((resolve) => {
      socket.onmessage = ({ data }) => this.#hear(data, resolve);
    });
    socket.onclose = ({ code, reason }) => this.#end(this.#whyClosed(code, reason));
    signal.addEventListener("abort", () => this.close(), { once: true });
    const trouble = await Promise.race([opened, this.ended]);
    if (trouble) throw trouble;
    this.#timer = setInterval(() => this.#check(), CHECK_MS);
    this.#events.onReady();
  }

  /**
   * @param {string} text
   * @returns {boolean} whether it went out
   */
  send(text) {
    const socket = this.#socket;
    if (socket?.readyState !== 1 || socket.bufferedAmount > FULL_BUFFER) return false;
    socket.send(text);
    return true;
  }

  /** @returns {Promise<{bytes: number, frames: number}>} received so far */
  async received() {
    return this.#received;
  }

  close() {
    clearInterval(this.#timer);
    this.#socket?.close();
    this.#end(new Trouble("lost"));
  }

  #hear(data, opened) {
    this.#heardAt_ms = performance.now();
    if (typeof data !== "string") return this.#show(data);
    const event = JSON.parse(data);
    if (event.type === "session") {
      this.id = event.id;
      opened();
    } else if (event.type === "frame") {
      this.#picture = event.picture;
      // Joined with what is on screen by number, as video frames are by RTP timestamp.
      this.#events.onEvent(JSON.stringify({ ...event, rtp_timestamp: event.picture }));
    } else {
      this.#events.onEvent(data);
    }
  }

  /** Draws a picture; the next one comes once the server is told that this one is shown. */
  async #show(blob) {
    const picture = this.#picture;
    this.#received.bytes += blob.size;
    this.#received.frames += 1;
    const bitmap = await createImageBitmap(blob).catch(() => null);
    if (this.#socket?.readyState !== 1) return;
    if (bitmap) {
      this.#draw(bitmap);
      this.#events.onPicture(picture);
    }
    this.#socket.send(JSON.stringify({ type: "shown", picture }));
  }

  /** @param {ImageBitmap} bitmap */
  #draw(bitmap) {
    const { width, height } = bitmap;
    const canvas = this.#canvas;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  #check() {
    const patience_ms = this.#received.frames ? SILENCE_MS : FIRST_PICTURE_MS;
    if (performance.now() - this.#heardAt_ms > patience_ms) this.#end(new Trouble("stalled"));
  }

  /** @returns {Trouble} */
  #whyClosed(code, reason) {
    if (this.id !== null) return new Trouble("lost", { detail: reason });
    const facts = { status: code - CLOSED_FOR, detail: reason };
    if (facts.status === 404) return new Trouble("unknown-stream", facts);
    if (facts.status === 503) {
      // Or not ready, or ending: the waiting line says which.
      const queue = queueBeside(new URL(this.#socket.url));
      return new Trouble("full", { ...facts, retry_after_s: 5, queue });
    }
    if (facts.status > 0) return new Trouble("refused", facts);
    return new Trouble("unreachable", { detail: reason });
  }
}
