// Where the viewer's eyes are in the avatar's world, with the displayed frame as a window onto it.
//
// The camera's place and tilt are not measured: one press while the viewer looks straight at the face
// defines "in front of the middle". The size of the screen comes from the size of a CSS pixel.

import { homeWindow, viewThrough } from "../reprojection/screen_window.js";
import { FARTHEST, NEAREST, PITCH_LIMIT_RAD, YAW_LIMIT_RAD } from "./orbit.js";

/** CSS defines 96 pixels per inch; screens of computers are within a third of it. */
export const DEFAULT_PIXEL_M = 0.0254 / 96;

/** Phones have about 160 CSS pixels per inch, the unit of Android. */
export const PHONE_PIXEL_M = 0.0254 / 160;

/** The long side of a bank card, ISO/IEC 7810 ID-1. */
export const CARD_WIDTH_M = 0.0856;

/** @typedef {import("../connection/messages.js").Vector} Vector */

export class HeadWindow {
  #distance_m = 0.7;
  /** @type {import("../reprojection/screen_window.js").ScreenWindow} */
  #window = { center: [0, 0, 0], half_m: 0.14 };
  /** @type {[number, number]} eyes that are in front of the middle: right and up of the camera, m */
  #straight = [0, 0];

  /** Side of a CSS pixel on this screen, metres. */
  pixel_m = DEFAULT_PIXEL_M;

  /** Side of the displayed frame, CSS pixels. */
  side_px = 800;

  /**
   * Use the avatar's own view.
   *
   * @param {Vector} home eye position, metres
   * @param {number} fov_y_rad
   */
  setHome(home, fov_y_rad) {
    this.#distance_m = home[2];
    this.#window = homeWindow(home, fov_y_rad);
  }

  /** @returns {import("../reprojection/screen_window.js").ScreenWindow} */
  get window() {
    return this.#window;
  }

  /**
   * Take the present position of the eyes as in front of the middle of the frame.
   *
   * @param {Vector} eyes in the camera's space (+X to the viewer's left, +Y up, the viewer at -Z), m
   */
  center([x, y]) {
    this.#straight = [-x, y];
  }

  /** @returns {[number, number]} what `center` has set, to be stored */
  get straight() {
    return this.#straight;
  }

  /** @param {[number, number]} straight */
  set straight(straight) {
    this.#straight = straight;
  }

  /**
   * Return eyes that see the face as large as the avatar's own view shows it.
   *
   * @param {Vector} direction from the middle of the frame: right, up, to the front; of length one
   * @returns {Vector} in the camera's space, metres
   */
  eyesTowards([right, up, front]) {
    const distance_m = this.#distance_m / this.#scale;
    const [straightX, straightY] = this.#straight;
    return [-(right * distance_m + straightX), up * distance_m + straightY, -front * distance_m];
  }

  /**
   * Return the view from the viewer's eyes.
   *
   * @param {Vector} eyes in the camera's space, metres
   * @param {number} [strength] 0..1: between the avatar's own view and that from the eyes
   * @returns {import("../reprojection/screen_window.js").WindowView}
   */
  view([x, y, z], strength = 1) {
    const [straightX, straightY] = this.#straight;
    const scale = this.#scale;
    const offset = /** @type {Vector} */ ([-x - straightX, y - straightY, -z]);
    const within = this.#limited(/** @type {Vector} */ (offset.map((part) => part * scale)));
    const home = [0, 0, this.#distance_m];
    const eye = this.#window.center.map(
      (middle, i) => middle + home[i] + strength * (within[i] - home[i]),
    );
    return viewThrough(/** @type {Vector} */ (eye), this.#window);
  }

  /**
   * Return the view from an eye in the avatar's world, as a headset measures it.
   *
   * @param {Vector} offset from where the avatar's own view is, metres
   * @returns {import("../reprojection/screen_window.js").WindowView}
   */
  viewFrom([x, y, z]) {
    const within = this.#limited([x, y, z + this.#distance_m]);
    const eye = this.#window.center.map((middle, i) => middle + within[i]);
    return viewThrough(/** @type {Vector} */ (eye), this.#window);
  }

  /** @returns {Vector} eye of the avatar's own view, metres */
  get home() {
    const [x, y, z] = this.#window.center;
    return [x, y, z + this.#distance_m];
  }

  /** How much larger the avatar's world is than the room in front of the screen. */
  get #scale() {
    return (2 * this.#window.half_m) / (this.side_px * this.pixel_m);
  }

  /**
   * Keep a position within the angles and distances the avatars are trained for.
   *
   * @param {Vector} offset from the middle of the window, metres
   * @returns {Vector}
   */
  #limited([x, y, z]) {
    const yaw_rad = clamp(Math.atan2(x, z), -YAW_LIMIT_RAD, YAW_LIMIT_RAD);
    const pitch_rad = clamp(Math.atan2(y, Math.hypot(x, z)), -PITCH_LIMIT_RAD, PITCH_LIMIT_RAD);
    const distance_m = clamp(
      Math.hypot(x, y, z),
      NEAREST * this.#distance_m,
      FARTHEST * this.#distance_m,
    );
    const level_m = distance_m * Math.cos(pitch_rad);
    return [
      level_m * Math.sin(yaw_rad),
      distance_m * Math.sin(pitch_rad),
      level_m * Math.cos(yaw_rad),
    ];
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
