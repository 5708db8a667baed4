// The camera, which orbits the face: how input moves it and how it glides on. Independent of the
// page, of time, or of the network.

import { fromYawPitchRoll, rotate } from "../reprojection/quaternion.js";

const DEGREE = Math.PI / 180;

// The avatars are trained for views within these angles.
export const YAW_LIMIT_RAD = 50 * DEGREE;
export const PITCH_LIMIT_RAD = 30 * DEGREE;
export const NEAREST = 0.75; // share of the avatar's own viewing distance
export const FARTHEST = 1.4;

const GLIDE_S = 0.16; // a thrown view slows down to 1/e in this time
const EASE_S = 0.09; // zoom and reset close all but 1/e of the gap in this time
const KEY_SPEED_RAD_S = 1.1; // while an arrow key is held
const KEY_ZOOM_S = 0.9; // natural logarithm of the zoom per second while a zoom key is held
const MIN_SPEED_RAD_S = 0.004; // slower movement is not visible
const MIN_GAP = 0.0005; // a smaller difference to the target is not visible

/** @typedef {import("../connection/messages.js").Vector} Vector */
/** @typedef {import("../connection/messages.js").Pose} Pose */

export class Orbit {
  /** @type {Vector} */ #target = [0, 0, 0];
  #distance_m = 0.7;
  #yaw = 0;
  #pitch = 0;
  #zoom = 1; // distance as a share of the avatar's own
  #zoomTarget = 1;
  #velocity = { yaw: 0, pitch: 0 };
  #held = { yaw: 0, pitch: 0, zoom: 0 };
  #homing = false;

  /**
   * Use the avatar's own viewpoint as the home position. It looks straight ahead, so the target is
   * as high as the eye.
   *
   * @param {Vector} eyePosition metres
   */
  setHome([x, y, z]) {
    this.#target = [x, y, 0];
    this.#distance_m = z;
  }

  /** @returns {number} */
  get yaw_rad() {
    return this.#yaw;
  }

  /** @returns {number} */
  get pitch_rad() {
    return this.#pitch;
  }

  /** @returns {number} distance as a share of the avatar's own */
  get zoom() {
    return this.#zoom;
  }

  /**
   * Return the camera's pose.
   *
   * @returns {Pose}
   */
  pose() {
    const rotation = fromYawPitchRoll(this.#yaw, -this.#pitch);
    const [x, y, z] = rotate(rotation, [0, 0, this.#distance_m * this.#zoom]);
    const [targetX, targetY, targetZ] = this.#target;
    return { rotation, position: [x + targetX, y + targetY, z + targetZ] };
  }

  /**
   * Turn by an angle at once and end any glide.
   *
   * @param {number} yaw_rad
   * @param {number} pitch_rad
   */
  turn(yaw_rad, pitch_rad) {
    this.stop();
    this.#moveBy(yaw_rad, pitch_rad);
  }

  /**
   * Turn to an angle at once and end any glide.
   *
   * @param {number} yaw_rad
   * @param {number} pitch_rad
   */
  turnTo(yaw_rad, pitch_rad) {
    this.turn(yaw_rad - this.#yaw, pitch_rad - this.#pitch);
  }

  /**
   * Glide on at a speed, as when a moving hand lets go.
   *
   * @param {number} yaw_rad_s
   * @param {number} pitch_rad_s
   */
  throw(yaw_rad_s, pitch_rad_s) {
    this.#velocity = { yaw: yaw_rad_s, pitch: pitch_rad_s };
  }

  /**
   * Move while keys are held, until called with zeros.
   *
   * @param {{yaw: number, pitch: number, zoom: number}} held each -1, 0 or 1
   */
  hold(held) {
    this.#homing = false;
    this.#held = { ...held };
    if (held.yaw) this.#velocity.yaw = held.yaw * KEY_SPEED_RAD_S;
    if (held.pitch) this.#velocity.pitch = held.pitch * KEY_SPEED_RAD_S;
  }

  /**
   * Zoom by a factor.
   *
   * @param {number} factor above 1 moves away
   * @param {{atOnce?: boolean}} [options] otherwise it eases there
   */
  zoomBy(factor, { atOnce = false } = {}) {
    this.#homing = false;
    this.#zoomTarget = clamp(this.#zoomTarget * factor, NEAREST, FARTHEST);
    if (atOnce) this.#zoom = this.#zoomTarget;
  }

  /** Glide back to the home position. */
  goHome() {
    this.stop();
    this.#homing = true;
    this.#zoomTarget = 1;
  }

  /** End any glide. */
  stop() {
    this.#velocity = { yaw: 0, pitch: 0 };
    this.#homing = false;
  }

  /** @returns {boolean} whether `step` still changes anything */
  get moving() {
    const { yaw, pitch } = this.#velocity;
    return (
      this.#homing ||
      this.#held.zoom !== 0 ||
      Math.max(Math.abs(yaw), Math.abs(pitch)) > MIN_SPEED_RAD_S ||
      this.#zoom !== this.#zoomTarget
    );
  }

  /**
   * Advance by a time step.
   *
   * @param {number} dt_s since the last step
   */
  step(dt_s) {
    this.#zoomTarget = clamp(
      this.#zoomTarget * Math.exp(this.#held.zoom * KEY_ZOOM_S * dt_s),
      NEAREST,
      FARTHEST,
    );
    this.#zoom = approach(this.#zoom, this.#zoomTarget, dt_s);
    if (this.#homing) this.#stepHome(dt_s);
    else this.#stepGlide(dt_s);
  }

  /** @param {number} dt_s */
  #stepHome(dt_s) {
    this.#yaw = approach(this.#yaw, 0, dt_s);
    this.#pitch = approach(this.#pitch, 0, dt_s);
    this.#homing = this.#yaw !== 0 || this.#pitch !== 0;
  }

  /** @param {number} dt_s */
  #stepGlide(dt_s) {
    this.#moveBy(this.#velocity.yaw * dt_s, this.#velocity.pitch * dt_s);
    const damping = Math.exp(-dt_s / GLIDE_S);
    if (!this.#held.yaw) this.#velocity.yaw = zeroIfSlow(this.#velocity.yaw * damping);
    if (!this.#held.pitch) this.#velocity.pitch = zeroIfSlow(this.#velocity.pitch * damping);
  }

  /**
   * @param {number} yaw_rad
   * @param {number} pitch_rad
   */
  #moveBy(yaw_rad, pitch_rad) {
    this.#yaw = clamp(this.#yaw + yaw_rad, -YAW_LIMIT_RAD, YAW_LIMIT_RAD);
    this.#pitch = clamp(this.#pitch + pitch_rad, -PITCH_LIMIT_RAD, PITCH_LIMIT_RAD);
  }
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** @param {number} velocity */
function zeroIfSlow(velocity) {
  return Math.abs(velocity) > MIN_SPEED_RAD_S ? velocity : 0;
}

/**
 * @param {number} value
 * @param {number} target
 * @param {number} dt_s
 */
function approach(value, target, dt_s) {
  const next = target + (value - target) * Math.exp(-dt_s / EASE_S);
  return Math.abs(next - target) > MIN_GAP ? next : target;
}
