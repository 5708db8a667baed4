// Runs once per animation frame while the view glides or the face is driven.

import { MAX_STEP_S } from "./view_sender.js";

/**
 * @typedef {object} Animated
 * @property {import("../input/orbit.js").Orbit} orbit
 * @property {import("../input/face.js").Face} face
 * @property {import("./view_sender.js").ViewSender} viewSender
 * @property {import("./mesh_sender.js").MeshSender} meshSender
 * @property {() => void} onViewStep called after the view has moved
 * @property {() => void} onReleased called when the face is no longer driven
 */

export class AnimationLoop {
  #animated;
  #timers;
  #running = false;
  #steppedAt_ms = 0;

  /**
   * @param {Animated} animated
   * @param {Pick<import("../timing/view_clock.js").Timers, "now" | "requestFrame">} timers
   */
  constructor(animated, timers) {
    this.#animated = animated;
    this.#timers = timers;
  }

  /** Run until all movement has ended. */
  start() {
    if (this.#running) return;
    this.#running = true;
    this.#steppedAt_ms = this.#timers.now();
    this.#animated.viewSender.restartGlide();
    this.#timers.requestFrame(() => this.#step());
  }

  #step() {
    const { orbit, face, viewSender } = this.#animated;
    const now_ms = this.#timers.now();
    const dt_s = Math.min((now_ms - this.#steppedAt_ms) / 1000, MAX_STEP_S);
    this.#steppedAt_ms = now_ms;
    if (orbit.moving) this.#stepView();
    else viewSender.restartGlide();
    if (face.driving) this.#stepFace(now_ms, dt_s);
    this.#running = orbit.moving || face.driving;
    if (this.#running) this.#timers.requestFrame(() => this.#step());
  }

  #stepView() {
    const { viewSender, onViewStep } = this.#animated;
    viewSender.glide();
    onViewStep();
    viewSender.clock.glides();
  }

  /**
   * @param {number} now_ms
   * @param {number} dt_s
   */
  #stepFace(now_ms, dt_s) {
    const { face, meshSender, onReleased } = this.#animated;
    face.step(now_ms / 1000, dt_s);
    meshSender.repeat(now_ms);
    if (!face.driving) onReleased();
  }
}
