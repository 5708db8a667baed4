// A page, a screen, a network and a server on a simulated clock, for tests of when views are sent.

import { FrameJournal } from "../../../client_web/js/timing/frame_journal.js";
import { Transit } from "../../../client_web/js/timing/transit.js";
import { ViewClock } from "../../../client_web/js/timing/view_clock.js";

/** Return pseudo-random numbers that are the same in every run. */
export function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

export class SimulatedPage {
  #events = []; // {at_ms, order, run}
  #order = 0;
  #interval_ms;
  #phase_ms;
  #freeAt_ms = 0;
  #newest = null; // the frame that the screen shows at its next refresh
  now_ms = 0;
  pose_ms = 0; // when the pose of a view sent now was current
  /** @type {{seq: number, sent_ms: number, pose_ms: number}[]} */ sent = [];
  /** @type {{at_ms: number, seq: number, latency_ms: number, age_ms: number}[]} */ shown = [];
  transit = new Transit();
  journal = new FrameJournal((frame, skipped) => this.transit.displayed(frame, skipped));

  /**
   * @param {object} world
   * @param {number} world.hz refresh rate of the screen
   * @param {() => number} world.transit_ms from sending a view to decoding its frame
   * @param {() => number} [world.timerLate_ms]
   * @param {number} [world.serverFps]
   */
  constructor({ hz, transit_ms, timerLate_ms = () => 0.5, serverFps = 60 }) {
    this.#interval_ms = 1000 / hz;
    this.#phase_ms = this.#interval_ms * 0.37;
    this.transit_ms = transit_ms;
    this.serverInterval_ms = 1000 / serverFps / 1.03;
    this.clock = new ViewClock((planned_ms) => this.#send(planned_ms), this.transit, {
      now: () => this.now_ms,
      requestFrame: (callback) => {
        const tick = this.#refreshAfter(this.now_ms + 1e-6);
        this.#at(tick + 1, () => callback(tick));
      },
      setTimer: (callback, delay_ms) =>
        this.#at(this.now_ms + Math.max(0, delay_ms) + timerLate_ms(), callback),
      clearTimer: (event) => {
        if (event) event.run = () => {};
      },
    });
    this.clock.fps = serverFps;
    this.#at(this.#refreshAfter(0), () => this.#refresh());
  }

  /** Advance the clock. @param {number} ms */
  run(ms) {
    const until_ms = this.now_ms + ms;
    for (;;) {
      this.#events.sort((a, b) => a.at_ms - b.at_ms || a.order - b.order);
      if (!this.#events.length || this.#events[0].at_ms > until_ms) break;
      const { at_ms, run } = this.#events.shift();
      this.now_ms = at_ms;
      run();
    }
    this.now_ms = until_ms;
  }

  /** Move the pose `hz` times per second from now on. */
  track(hz, jitter_ms = () => 0) {
    const step = (count) => {
      this.pose_ms = this.now_ms;
      this.clock.moved();
      const next_ms = begun_ms + (1000 * count) / hz + jitter_ms();
      this.#at(Math.max(this.now_ms, next_ms), () => step(count + 1));
    };
    const begun_ms = this.now_ms;
    step(1);
  }

  /** Move the pose smoothly from now on: it is always current. */
  glide() {
    this.gliding = true;
    const frame = () => {
      this.clock.glides();
      this.#at(this.#refreshAfter(this.now_ms + 1e-6) + 1, frame);
    };
    frame();
  }

  #send(planned_ms) {
    if (this.gliding) this.pose_ms = this.now_ms;
    const seq = this.sent.length + 1;
    const view = { seq, sent_ms: this.now_ms, pose_ms: this.pose_ms };
    this.sent.push(view);
    this.journal.viewSent({ seq, sent_at_ms: this.now_ms, planned_ms });
    // The server renders one frame at a time at its own rate; a newer view replaces a waiting one.
    const begins_ms = Math.max(this.now_ms, this.#freeAt_ms - this.serverInterval_ms / 2);
    this.#at(begins_ms, () => {
      if (this.sent.some((other) => other.seq > seq && other.begun)) return;
      const newest = this.sent.at(-1);
      if (newest.begun) return;
      newest.begun = true;
      this.#freeAt_ms = Math.max(this.#freeAt_ms, this.now_ms) + this.serverInterval_ms;
      this.#at(this.now_ms + this.transit_ms(), () => this.#decoded(newest));
    });
    if (this.gliding) this.clock.glides();
  }

  #decoded(view) {
    const { seq } = view;
    const clock_ms = { sent: this.now_ms - 1 };
    this.journal.eventReceived({ type: "frame", view_seq: seq, rtp_timestamp: seq, clock_ms }, 0);
    if (this.#newest && this.#newest.view.seq > view.seq) return;
    this.#newest = { view, presentationTime: this.now_ms };
  }

  #refresh() {
    const frame = this.#newest;
    this.#newest = null;
    if (frame) {
      const { view, presentationTime } = frame;
      this.shown.push({
        at_ms: this.now_ms,
        seq: view.seq,
        latency_ms: this.now_ms - view.sent_ms,
        age_ms: this.now_ms - view.pose_ms,
      });
      this.journal.displayed(view.seq, this.now_ms, { presentationTime });
    }
    this.#at(this.#refreshAfter(this.now_ms + 1e-6), () => this.#refresh());
  }

  #refreshAfter(at_ms) {
    const count = Math.ceil((at_ms - this.#phase_ms) / this.#interval_ms);
    return this.#phase_ms + count * this.#interval_ms;
  }

  #at(at_ms, run) {
    const event = { at_ms, order: this.#order++, run };
    this.#events.push(event);
    return event;
  }
}
