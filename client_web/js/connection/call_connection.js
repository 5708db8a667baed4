// The connection to a call: takes a seat, sends changes, and receives the participants. When it is
// lost, it reconnects to the same seat.

import { access } from "./access.js";
import { Backoff } from "./backoff.js";
import { findCall } from "./call_host.js";
import { parseJson } from "./messages.js";
import { Trouble } from "./trouble.js";

const OPEN = 1; // `WebSocket.OPEN`
const CLOSE_CODE_BASE = 4000; // the server closes with this plus the HTTP status it would answer
const JOIN_TIMEOUT_MS = 10_000;
const FINAL = [400, 401, 403, 404, 409, 410, 429]; // statuses for which trying again changes nothing

/**
 * @typedef {object} Direction where a participant sees another one, angles from straight ahead
 * @property {number} seat of the one who is seen
 * @property {number} yaw_rad to the left of the one who looks
 * @property {number} pitch_rad upwards
 *
 * @typedef {object} Person
 * @property {number} seat
 * @property {string} name
 * @property {string} avatar id
 * @property {string} stream id
 * @property {boolean} present false while the connection is lost
 * @property {boolean} muted
 * @property {readonly Direction[]} directions
 *
 * @typedef {object} Seat one's own
 * @property {number} seat
 * @property {number} seats of the table
 * @property {string} stream to publish to
 * @property {string} resume secret with which the seat is had again
 * @property {URL} host the server that the call is on; behind a router, another one than the page's
 *
 * @typedef {object} CallEvents
 * @property {(seat: Seat) => void} onSeat a seat was taken; the same one after a lost connection, but
 *   another one if it was given up meanwhile
 * @property {(people: readonly Person[]) => void} onRoster who is there, oneself included
 * @property {(trouble: Trouble) => void} onLost it is tried again
 * @property {(trouble: Trouble) => void} onEnd it has ended by itself
 */

export class CallConnection {
  #base;
  #call;
  #events;
  #storage;
  #key;
  #backoff;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {{name: string, avatar: string}} */ #self = { name: "", avatar: "" };
  /** @type {Record<string, unknown>} */ #state = {};
  #over = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;

  /**
   * @param {URL} base the server's address
   * @param {string} call its name
   * @param {CallEvents} events
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} storage keeps the secret of the
   *   seat while this tab lives
   * @param {Backoff} [backoff]
   */
  constructor(base, call, events, storage, backoff = new Backoff()) {
    this.#base = base;
    this.#call = call;
    this.#events = events;
    this.#storage = storage;
    this.#key = `telewarp.call.${call}`;
    this.#backoff = backoff;
  }

  /**
   * Take a seat. Afterwards a lost connection is opened again until `leave`.
   *
   * @param {{name: string, avatar: string}} self
   * @throws {Trouble} if the server cannot be reached or refuses
   */
  async join(self) {
    this.#self = self;
    await this.#open();
  }

  /**
   * Tell the others what has changed.
   *
   * @param {{muted?: boolean, directions?: readonly Direction[]}} change
   */
  update(change) {
    Object.assign(this.#state, change);
    this.#send({ type: "state", ...change });
  }

  /** Give up the seat. May be called more than once. */
  leave() {
    if (this.#over) return;
    this.#send({ type: "leave" });
    this.#storage?.removeItem(this.#key);
    this.close();
  }

  /** End the connection; the server keeps the seat for a while. */
  close() {
    this.#over = true;
    clearTimeout(this.#retry);
    this.#socket?.close();
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(message));
  }

  /**
   * @returns {Promise<void>} when a seat was taken
   * @throws {Trouble}
   */
  async #open() {
    const { host, address } = await findCall(this.#base, this.#call);
    if (this.#over) return; // it was left meanwhile
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    await this.#takeSeat(new WebSocket(address, access.subprotocols(address)), host);
  }

  /**
   * @param {WebSocket} socket
   * @param {URL} host
   * @returns {Promise<void>}
   */
  #takeSeat(socket, host) {
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.close(), JOIN_TIMEOUT_MS);
      let seated = false;
      socket.onopen = () => {
        const resume = this.#storage?.getItem(this.#key);
        this.#send({ type: "join", ...this.#self, ...(resume && { resume }) });
      };
      socket.onmessage = ({ data }) => {
        const message = /** @type {any} */ (parseJson(String(data)));
        if (message?.type === "joined") {
          clearTimeout(timer);
          seated = true;
          this.#seated({ ...message, host });
          resolve();
        }
        if (message?.type === "roster") this.#events.onRoster(message.people);
      };
      socket.onclose = ({ code, reason }) => {
        clearTimeout(timer);
        const trouble = closeTrouble(code, reason);
        if (seated) this.#ended(trouble);
        else reject(trouble);
      };
    });
  }

  /** @param {Seat} seat */
  #seated(seat) {
    this.#storage?.setItem(this.#key, seat.resume);
    this.#backoff.reset();
    this.#events.onSeat(seat);
    // A new seat has none of the values that were sent before.
    if (Object.keys(this.#state).length) this.#send({ type: "state", ...this.#state });
  }

  /** @param {Trouble} trouble */
  #ended(trouble) {
    if (this.#over) return;
    if (FINAL.includes(trouble.status) && trouble.retry_after_s === null) {
      this.#over = true;
      this.#events.onEnd(trouble);
      return;
    }
    this.#events.onLost(trouble);
    this.#retry = setTimeout(() => {
      this.#open().catch((error) => this.#ended(error));
    }, this.#backoff.next() * 1000);
  }
}

/**
 * @param {number} code
 * @param {string} detail
 */
function closeTrouble(code, detail) {
  const status = Math.max(0, code - CLOSE_CODE_BASE);
  if (status === 401 || status === 403) return new Trouble("sign-in", { status, detail });
  if (status === 503) return new Trouble("ending", { status, detail });
  return new Trouble(status ? "refused" : "unreachable", { status, detail });
}
