// Sends the camera's pose to the server: when the view clock schedules it, and as a heartbeat.

import { viewMessage } from "../connection/messages.js";
import { ViewClock } from "../timing/view_clock.js";

/** Longest time step, seconds: after a pause of the page the view must not jump. */
export const MAX_STEP_S = 0.1;

/** @typedef {import("../timing/view_clock.js").Timers} Timers */

export class ViewSender {
  #orbit;
  #viewpoint;
  #telemetry;
  #send;
  #timers;
  #homeKnown = false;
  /** @type {number | null} when the camera moved since the last view was sent */
  #movedAt_ms = null;
  #glidedAt_ms = 0;

  /** Number of the last view that was sent. */
  seq = 0;

  /** When to send views. */
  clock;

  /**
   * @param {import("../input/orbit.js").Orbit} orbit
   * @param {import("../input/viewpoint.js").Viewpoint} viewpoint
   * @param {Pick<import("../timing/telemetry.js").Telemetry, "journal" | "transit">} telemetry
   * @param {(text: string) => boolean} send returns whether the message was sent
   * @param {Timers} timers
   */
  constructor(orbit, viewpoint, telemetry, send, timers) {
    this.#orbit = orbit;
    this.#viewpoint = viewpoint;
    this.#telemetry = telemetry;
    this.#send = send;
    this.#timers = timers;
    this.clock = new ViewClock(
      (planned_ms) => this.#sendPlanned(planned_ms),
      telemetry.transit,
      timers,
    );
  }

  /** Must be called when the home position is known. A view sent before would make the face jump. */
  homeKnown() {
    this.#homeKnown = true;
    this.send();
  }

  /**
   * Send the present pose now.
   *
   * @param {number | null} [planned_ms] when it was to be sent, if it was scheduled
   * @returns {boolean} whether it was sent
   */
  send(planned_ms = null) {
    if (!this.#homeKnown) return false;
    const sent_at_ms = this.#timers.now();
    const { pose, fov_y_rad } = this.#viewpoint.view(sent_at_ms);
    if (!this.#send(viewMessage(this.seq + 1, sent_at_ms, pose, fov_y_rad))) return false;
    this.seq += 1;
    const moved_at_ms = this.#movedAt_ms ?? sent_at_ms;
    const view = { seq: this.seq, sent_at_ms, moved_at_ms, planned_ms, pose, fov_y_rad };
    this.#telemetry.journal.viewSent(view);
    this.#movedAt_ms = null;
    return true;
  }

  /**
   * Must be called when an input device moved the view.
   *
   * @param {number} at_ms
   */
  moved(at_ms) {
    this.#movedAt_ms = at_ms;
    this.clock.moved();
  }

  /** Start to count the time of a glide from now. */
  restartGlide() {
    this.#glidedAt_ms = this.#timers.now();
  }

  /** Move the gliding camera to its present position. */
  glide() {
    const now_ms = this.#timers.now();
    this.#orbit.step(Math.min((now_ms - this.#glidedAt_ms) / 1000, MAX_STEP_S));
    this.#glidedAt_ms = now_ms;
    this.#movedAt_ms = now_ms;
  }

  /** @param {number} planned_ms */
  #sendPlanned(planned_ms) {
    if (this.#orbit.moving) this.glide();
    this.send(planned_ms);
    if (this.#orbit.moving || this.#viewpoint.following) this.clock.glides();
  }
}
