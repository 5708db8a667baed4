// The table of a call: a tile for each other person, from the left to the right, and the directions in
// which they are seen from here.

import { directionOf, directionTowards, leftToRight } from "../input/table.js";
import { eyePosition } from "../tracking/eye_position.js";
import { CallTile } from "./call_tile.js";
import { recallScreen } from "./remembered_screen.js";

const DISTANCE_M = 0.65; // of the eyes from a screen, before they were measured
const STEP_RAD = 0.005; // smaller changes of a direction are not seen
const SETTLED_MS = 200; // after a change of the layout

/**
 * @typedef {import("../connection/call_connection.js").Person} Person
 * @typedef {import("../connection/call_connection.js").Direction} Direction
 *
 * @typedef {object} TableParts
 * @property {HTMLElement} element gets the tiles
 * @property {import("../timing/view_clock.js").Timers} timers
 * @property {(directions: Direction[]) => void} onDirections they have changed
 * @property {(blocked: boolean) => void} onBlocked whether the browser holds voices back until a click
 * @property {(...of: ConstructorParameters<typeof CallTile>) => CallTile} [createTile]
 */

export class CallTable {
  #page;
  #parts;
  /** @type {Map<string, CallTile>} by stream */ #tiles = new Map();
  /** @type {readonly Person[]} from the left to the right */ #others = [];
  /** @type {Direction[]} as last reported */ #directions = [];
  #screen = { ...{ pixel_m: 0.0254 / 96, distance_m: DISTANCE_M }, ...recallScreen() };
  /** @type {import("../connection/messages.js").Vector | null} */ #eyes = null;
  #createTile;
  #observer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #settling;

  /** Whether views follow the viewer's eyes. */
  followsEyes = true;

  /**
   * @param {Document} page
   * @param {TableParts} parts
   */
  constructor(page, parts) {
    this.#page = page;
    this.#parts = parts;
    this.#createTile = parts.createTile ?? ((...of) => new CallTile(...of));
    this.#observer = new ResizeObserver(() => this.#layoutChanged());
    this.#observer.observe(parts.element);
  }

  /** @returns {readonly Person[]} from the left to the right */
  get others() {
    return this.#others;
  }

  /**
   * Show the participants.
   *
   * @param {readonly Person[]} people oneself included
   * @param {import("../connection/call_connection.js").Seat} own
   */
  show(people, { seat, seats, host }) {
    this.#others = leftToRight(people, seat, seats);
    const present = new Set(this.#others.map(({ stream }) => stream));
    for (const [stream, tile] of this.#tiles) if (!present.has(stream)) this.#close(tile);
    const { element } = this.#parts;
    /** @type {CallTile[]} */ const opened = [];
    this.#others.forEach((person, place) => {
      let tile = this.#tiles.get(person.stream);
      if (!tile) {
        tile = this.#open(person, host);
        opened.push(tile);
      }
      tile.show(person, directionTowards(person, seat, people, seats));
      // A tile that stays where it is must not be moved: its video would pause.
      const there = element.children[place];
      if (there !== tile.panel.element) element.insertBefore(tile.panel.element, there ?? null);
    });
    element.dataset.others = String(this.#others.length);
    for (const tile of opened) tile.start();
    this.#layoutChanged();
  }

  /**
   * Take a frame of one's own camera into account.
   *
   * @param {import("../tracking/face_tracker.js").TrackedFrame} frame
   */
  tracked({ face, capturedAt_ms }) {
    if (!face) return;
    this.#eyes = eyePosition(face.matrix);
    if (!this.followsEyes) return;
    for (const tile of this.#tiles.values()) tile.follow(this.#eyes, capturedAt_ms);
  }

  /** Take the present position of the eyes as straight ahead. */
  calibrate() {
    if (!this.#eyes) return;
    const [x, y, z] = this.#eyes;
    const straight = /** @type {[number, number]} */ ([-x, y]);
    this.#screen = { ...this.#screen, straight, distance_m: Math.abs(z) };
    for (const tile of this.#tiles.values()) tile.calibrate(this.#calibration);
    this.#layoutChanged();
  }

  /** @param {boolean} on whether views follow the viewer's eyes */
  followEyes(on) {
    this.followsEyes = on;
    if (!on) for (const tile of this.#tiles.values()) tile.release();
  }

  /** Play the voices that the browser holds back. Must be called for a click. */
  unblock() {
    for (const tile of this.#tiles.values()) tile.unblock();
  }

  /** Retry the pending attempt now. */
  retryNow() {
    for (const tile of this.#tiles.values()) tile.retryNow();
  }

  /**
   * @param {number} seat
   * @returns {CallTile | null}
   */
  tile(seat) {
    const person = this.#others.find((other) => other.seat === seat);
    return (person && this.#tiles.get(person.stream)) ?? null;
  }

  /** Stop watching everyone. */
  close() {
    this.#observer.disconnect();
    clearTimeout(this.#settling);
    for (const tile of this.#tiles.values()) this.#close(tile);
  }

  /** @returns {boolean} */
  get #blocked() {
    return [...this.#tiles.values()].some(({ blocked }) => blocked);
  }

  get #calibration() {
    const { pixel_m, straight } = this.#screen;
    return { pixel_m, ...(straight && { straight }) };
  }

  /**
   * @param {Person} person
   * @param {URL} host
   */
  #open(person, host) {
    const { timers, onBlocked } = this.#parts;
    const onChange = () => onBlocked(this.#blocked);
    const tile = this.#createTile(this.#page, host, person, timers, onChange);
    tile.calibrate(this.#calibration);
    this.#tiles.set(person.stream, tile);
    return tile;
  }

  /** @param {CallTile} tile */
  #close(tile) {
    this.#tiles.delete(tile.stream);
    tile.close();
  }

  #layoutChanged() {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#reportDirections(), SETTLED_MS);
  }

  #reportDirections() {
    const directions = this.#others.map(({ seat }) => ({ seat, ...this.#directionOf(seat) }));
    const before = this.#directions;
    const same =
      directions.length === before.length && directions.every((now, i) => isNear(now, before[i]));
    if (same) return;
    this.#directions = directions;
    this.#parts.onDirections(directions);
  }

  /** @param {number} seat */
  #directionOf(seat) {
    const element = this.tile(seat)?.panel.element;
    if (!element) return { yaw_rad: 0, pitch_rad: 0 };
    const { left, top, width, height } = element.getBoundingClientRect();
    const { clientWidth, clientHeight } = this.#page.documentElement;
    const right_px = left + width / 2 - clientWidth / 2;
    const down_px = top + height / 2 - clientHeight / 2;
    return directionOf(right_px, down_px, this.#screen);
  }
}

/**
 * @param {Direction} a
 * @param {Direction} b
 */
function isNear(a, b) {
  const angle_rad = Math.max(Math.abs(a.yaw_rad - b.yaw_rad), Math.abs(a.pitch_rad - b.pitch_rad));
  return a.seat === b.seat && angle_rad < STEP_RAD;
}
