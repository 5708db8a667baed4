// Everything this viewer controls: the camera and the face, from input devices to the messages that
// are sent.

import { ARKIT_NAMES } from "../input/coefficients.js";
import { Face } from "../input/face.js";
import { Gestures } from "../input/gestures.js";
import { Keyboard } from "../input/keyboard.js";
import { Orbit } from "../input/orbit.js";
import { Viewpoint } from "../input/viewpoint.js";
import { Controls } from "../panels/controls.js";
import { find } from "../panels/dom.js";
import { AnimationLoop } from "./animation_loop.js";
import { Driving } from "./driving.js";
import { MeshSender } from "./mesh_sender.js";
import { ViewSender } from "./view_sender.js";

const HEARTBEAT_MS = 1000; // keepalive, with the current view

/**
 * @typedef {object} Output
 * @property {import("../timing/telemetry.js").Telemetry} telemetry records what is sent
 * @property {(text: string) => boolean} send returns whether the message was sent
 * @property {() => void} onViewStep called after the view has moved by itself
 */

export class ViewerInput {
  #page;
  #timers;
  #animation;
  #driving;

  orbit = new Orbit();
  viewpoint = new Viewpoint(this.orbit);

  // The numbers of a stream's own publisher start near 0: far below the clock.
  face = new Face(Date.now());

  /**
   * @param {Document} page
   * @param {Output} output
   * @param {import("../timing/view_clock.js").Timers} timers
   */
  constructor(page, { telemetry, send, onViewStep }, timers) {
    const { orbit, face } = this;
    this.#page = page;
    this.#timers = timers;
    this.controls = new Controls(find(page, "#controls"), face, () => this.#faceChanged());
    this.viewSender = new ViewSender(orbit, this.viewpoint, telemetry, send, timers);
    this.meshSender = new MeshSender(face, telemetry.journal, send, timers);
    const elements = {
      body: page.body,
      banner: find(page, "#driving"),
      releaseButtons: /** @type {NodeListOf<HTMLElement>} */ (
        page.querySelectorAll("button[data-release]")
      ),
    };
    const { viewSender, meshSender, controls } = this;
    this.#driving = new Driving(elements, face, () => controls.refresh(), timers.now);
    const onReleased = () => this.#driving.show();
    this.#animation = new AnimationLoop(
      { orbit, face, viewSender, meshSender, onViewStep, onReleased },
      timers,
    );
    controls.setNames(ARKIT_NAMES);
    this.#driving.show();
  }

  /**
   * Listen to pointers and keys, and send the heartbeat.
   *
   * @param {Record<string, () => void>} keys further actions by key
   * @param {AbortSignal} signal
   */
  listen(keys, signal) {
    /** @param {number} [at_ms] */
    const moved = (at_ms) => this.viewMoved(at_ms);
    new Gestures(find(this.#page, "#stage"), this.orbit, moved, signal);
    new Keyboard(window, this.orbit, moved, keys, signal);
    setInterval(() => this.viewSender.send(), HEARTBEAT_MS);
  }

  /**
   * Must be called after an input device has moved the view.
   *
   * @param {number} [at_ms] when it moved
   */
  viewMoved(at_ms = this.#timers.now()) {
    this.viewSender.moved(at_ms);
    this.#page.body.classList.add("touched");
    this.#animation.start();
  }

  /** Glide back to the home position. */
  resetView() {
    this.orbit.goHome();
    this.viewMoved();
  }

  /** Let the stream drive the face again. */
  release() {
    this.#driving.release();
  }

  #faceChanged() {
    this.meshSender.request();
    this.#driving.show();
    this.#animation.start();
  }
}
