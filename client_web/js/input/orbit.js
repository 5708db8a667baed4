// The viewer's eye, on a sphere around the face: what a hand does to it and how it glides on.
// Knows nothing of the page, of time, or of the network.

import { fromYawPitchRoll, rotate } from "../reprojection/quaternion.js";

const DEGREE = Math.PI / 180;

export const YAW_LIMIT_RAD = 50 * DEGREE;
export const PITCH_LIMIT_RAD = 30 * DEGREE;
export const NEAREST = 0.75; // of the avatar's own viewing distance
export const FARTHEST = 1.4;

const GLIDE_S = 0.16; // a thrown view slows to a third in this time
const EASE_S = 0.09; // zoom and reset close two thirds of the gap in this time
const HELD_RAD_S = 1.1; // speed under a held arrow key
const HELD_ZOOM_S = 0.9; // zoom factors (natural log) per second under a held key
const STILL_RAD_S = 0.004; // slower than this is not seen
const STILL_GAP = 0.0005;

/** @typedef {import("../reprojection/quaternion.js").Vector} Vector */
/** @typedef {{rotation: import("../reprojection/quaternion.js").Quaternion, position: Vector}} Pose */

export class Orbit {
  /** @type {Vector} */ #target = [0, 0, 0];
  #distance_m = 0.7;
  #yaw = 0;
  #pitch = 0;
  #zoom = 1; // distance as a share of the avatar's own
  #zoomGoal = 1;
  #velocity = { yaw: 0, pitch: 0 };
  #held = { yaw: 0, pitch: 0, zoom: 0 };
  #homing = false;

  /**
   * Takes the avatar's own viewpoint as the home of the view: straight ahead, so the point looked
   * at lies as high as the eye.
   *
   * @param {Vector} eyePosition metres
   */
  setHome([x, y, z]) {
    this.#target = [x, y, 0];
    this.#distance_m = z;
  }

  get yaw_rad() {
    return this.#yaw;
  }

  get pitch_rad() {
    return this.#pitch;
  }

  get zoom() {
    return this.#zoom;
  }

  /** @returns {Pose} local to world; the camera looks down its own -Z */
  pose() {
    const rotation = fromYawPitchRoll(this.#yaw, -this.#pitch);
    const [x, y, z] = rotate(rotation, [0, 0, this.#distance_m * this.#zoom]);
    const [targetX, targetY, targetZ] = this.#target;
    return { rotation, position: [x + targetX, y + targetY, z + targetZ] };
  }

  /**
   * Turns by an angle at once; ends any glide.
   *
   * @param {number} yaw_rad @param {number} pitch_rad
   */
  turn(yaw_rad, pitch_rad) {
    this.stop();
    this.#moveBy(yaw_rad, pitch_rad);
  }

  /** @param {number} yaw_rad @param {number} pitch_rad */
  turnTo(yaw_rad, pitch_rad) {
    this.turn(yaw_rad - this.#yaw, pitch_rad - this.#pitch);
  }

  /**
   * Lets the view glide on at a speed, as when a hand lets go while moving.
   *
   * @param {number} yaw_rad_s @param {number} pitch_rad_s
   */
  throw(yaw_rad_s, pitch_rad_s) {
    this.#velocity = { yaw: yaw_rad_s, pitch: pitch_rad_s };
  }

  /**
   * Moves under held keys, each -1, 0 or 1, until called with zeros.
   *
   * @param {{yaw: number, pitch: number, zoom: number}} held
   */
  hold(held) {
    this.#homing = false;
    this.#held = { ...held };
    if (held.yaw) this.#velocity.yaw = held.yaw * HELD_RAD_S;
    if (held.pitch) this.#velocity.pitch = held.pitch * HELD_RAD_S;
  }

  /** @param {number} factor above 1 goes away @param {{atOnce?: boolean}} [options] */
  zoomBy(factor, { atOnce = false } = {}) {
    this.#homing = false;
    this.#zoomGoal = clamp(this.#zoomGoal * factor, NEAREST, FARTHEST);
    if (atOnce) this.#zoom = this.#zoomGoal;
  }

  /** Glides back to the front. */
  goHome() {
    this.stop();
    this.#homing = true;
    this.#zoomGoal = 1;
  }

  stop() {
    this.#velocity = { yaw: 0, pitch: 0 };
    this.#homing = false;
  }

  /** Whether `step` still has something to do. */
  get moving() {
    const { yaw, pitch } = this.#velocity;
    return (
      this.#homing ||
      this.#held.zoom !== 0 ||
      Math.max(Math.abs(yaw), Math.abs(pitch)) > STILL_RAD_S ||
      this.#zoom !== this.#zoomGoal
    );
  }

  /** @param {number} dt_s time since the last step */
  step(dt_s) {
    this.#zoomGoal = clamp(
      this.#zoomGoal * Math.exp(this.#held.zoom * HELD_ZOOM_S * dt_s),
      NEAREST,
      FARTHEST,
    );
    this.#zoom = approach(this.#zoom, this.#zoomGoal, dt_s);
    if (this.#homing) this.#stepHome(dt_s);
    else this.#stepGlide(dt_s);
  }

  #stepHome(dt_s) {
    this.#yaw = approach(this.#yaw, 0, dt_s);
    this.#pitch = approach(this.#pitch, 0, dt_s);
    this.#homing = this.#yaw !== 0 || this.#pitch !== 0;
  }

  #stepGlide(dt_s) {
    this.#moveBy(this.#velocity.yaw * dt_s, this.#velocity.pitch * dt_s);
    const slower = Math.exp(-dt_s / GLIDE_S);
    if (!this.#held.yaw) this.#velocity.yaw = settle(this.#velocity.yaw * slower);
    if (!this.#held.pitch) this.#velocity.pitch = settle(this.#velocity.pitch * slower);
  }

  #moveBy(yaw_rad, pitch_rad) {
    this.#yaw = clamp(this.#yaw + yaw_rad, -YAW_LIMIT_RAD, YAW_LIMIT_RAD);
    this.#pitch = clamp(this.#pitch + pitch_rad, -PITCH_LIMIT_RAD, PITCH_LIMIT_RAD);
  }
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

function settle(velocity) {
  return Math.abs(velocity) > STILL_RAD_S ? velocity : 0;
}

function approach(value, goal, dt_s) {
  const next = goal + (value - goal) * Math.exp(-dt_s / EASE_S);
  return Math.abs(next - goal) > STILL_GAP ? next : goal;
}
