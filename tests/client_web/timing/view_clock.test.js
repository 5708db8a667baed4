import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameJournal } from "../../../client_web/js/timing/frame_journal.js";
import { ScreenClock } from "../../../client_web/js/timing/screen_clock.js";
import { Transit } from "../../../client_web/js/timing/transit.js";
import { randomNumbers, SimulatedPage } from "./simulated_page.js";

const LEARNING_MS = 3000;
const WATCHED_MS = 8000;

const percentile = (values, share) =>
  [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)];

/** Return what the screen shows after the clock has converged. */
function watched(page, move) {
  page.run(50);
  move(page);
  page.run(LEARNING_MS);
  const before = page.shown.length;
  page.run(WATCHED_MS);
  const frames = page.shown.slice(before);
  const ages = frames.map((frame) => frame.age_ms);
  return {
    fps: (frames.length * 1000) / WATCHED_MS,
    p50: percentile(ages, 0.5),
    p95: percentile(ages, 0.95),
  };
}

for (const hz of [30, 60, 75, 120, 144]) {
  test(`on a screen of ${hz} Hz a smooth movement is as old as its transit time`, () => {
    const page = new SimulatedPage({ hz, transit_ms: () => 13 });
    const { fps, p50, p95 } = watched(page, (p) => p.glide());
    assert.ok(p50 >= 13 && p50 < 15, `p50 ${p50}`);
    assert.ok(p95 < 15, `p95 ${p95}`);
    assert.ok(fps > 0.97 * Math.min(hz, 60), `${fps} frames a second`);
  });
}

for (const transit of [4, 11, 16, 24, 40]) {
  test(`a transit time of ${transit} ms costs no more, whatever share of a refresh it is`, () => {
    const page = new SimulatedPage({ hz: 60, transit_ms: () => transit });
    const { fps, p50 } = watched(page, (p) => p.glide());
    assert.ok(p50 - transit < 2, `p50 ${p50}`);
    assert.ok(fps > 58, `${fps} frames a second`);
  });
}

test("varying transit times need little lead and lose few frames", () => {
  const random = randomNumbers(5);
  const page = new SimulatedPage({
    hz: 60,
    transit_ms: () => 11 + 2 * random() + (random() > 0.95 ? 8 : 0),
    timerLate_ms: () => 1.5 * random(),
  });
  const { fps, p50, p95 } = watched(page, (p) => p.glide());
  assert.ok(p50 < 15, `p50 ${p50}`);
  assert.ok(p95 < 20, `p95 ${p95}`);
  assert.ok(fps > 55, `${fps} frames a second`);
});

test("when transit times grow the lead grows within a third of a second, and shrinks again", () => {
  let transit = 10;
  const page = new SimulatedPage({ hz: 60, transit_ms: () => transit });
  page.run(50);
  page.glide();
  page.run(LEARNING_MS);
  assert.ok(page.clock.lead_ms < 12);
  transit = 21;
  page.run(330);
  assert.ok(page.clock.lead_ms >= 21, `lead ${page.clock.lead_ms}`);
  transit = 10;
  page.run(LEARNING_MS);
  assert.ok(page.clock.lead_ms < 12, `lead ${page.clock.lead_ms}`);
});

test("a continuously moving mouse is read just in time", () => {
  const page = new SimulatedPage({ hz: 60, transit_ms: () => 12 });
  const { fps, p50, p95 } = watched(page, (p) => p.track(1000));
  assert.ok(p95 < 15.5, `p50 ${p50}, p95 ${p95}`);
  assert.ok(fps > 58, `${fps} frames a second`);
});

test("a tracker's pose does not wait for a newer one that would be late", () => {
  const random = randomNumbers(9);
  const page = new SimulatedPage({ hz: 60, transit_ms: () => 12 });
  const { fps, p95 } = watched(page, (p) => p.track(59.3, () => 2 * random()));
  // Its clock drifts against the screen's, so it waits for up to one refresh.
  assert.ok(p95 < 12 + 17, `p95 ${p95}`);
  assert.ok(fps > 55, `${fps} frames a second`);
  const holds = page.sent.slice(200).map((view) => view.sent_ms - view.pose_ms);
  assert.ok(percentile(holds, 0.95) < 1, `held ${percentile(holds, 0.95)}`);
});

test("a single movement after a rest is sent at once", () => {
  const page = new SimulatedPage({ hz: 60, transit_ms: () => 12 });
  page.run(500);
  page.pose_ms = page.now_ms;
  page.clock.moved();
  assert.equal(page.sent.length, 1);
  assert.equal(page.sent[0].sent_ms, 500);
});

test("before anything is measured views are sent at most as often as frames are rendered", () => {
  const page = new SimulatedPage({ hz: 60, transit_ms: () => Infinity });
  page.run(10);
  page.track(1000);
  page.run(1000);
  assert.ok(page.sent.length <= 70, `${page.sent.length} views`);
});

test("on a fast screen no more views are sent than the server renders", () => {
  const page = new SimulatedPage({ hz: 144, transit_ms: () => 9, serverFps: 30 });
  const { fps, p50 } = watched(page, (p) => p.glide());
  assert.ok(Math.abs(fps - 30) < 1.5, `${fps} frames a second`);
  assert.ok(p50 < 12, `p50 ${p50}`);
  assert.ok(page.sent.length < 31 * 12, `${page.sent.length} views in 11 s`);
});

test("the refresh interval is found although every third frame is missed", () => {
  const screen = new ScreenClock();
  for (let i = 0; i < 60; i++) if (i % 3) screen.refreshed(100 + (i * 1000) / 60);
  assert.ok(Math.abs(screen.interval_ms - 1000 / 60) < 0.01);
  assert.ok(Math.abs(screen.next(1100) - (100 + 1000)) < 0.1);
  screen.refreshed(90_000);
  assert.equal(screen.next(90_000), 90_000);
});

test("frames that were never displayed count too, because they were late", () => {
  const transit = new Transit();
  const journal = new FrameJournal((frame, skipped) => transit.displayed(frame, skipped));
  for (let seq = 0; seq < 60; seq++) {
    const late = seq % 2;
    const ready_ms = 100 * seq + (late ? 20 : 12);
    const clock_ms = { sent: ready_ms - 2 };
    journal.viewSent({ seq, sent_at_ms: 100 * seq, planned_ms: 100 * seq });
    journal.eventReceived({ type: "frame", view_seq: seq, rtp_timestamp: seq, clock_ms }, 0);
    if (!late) journal.displayed(seq, ready_ms, { presentationTime: 100 * seq + 12 });
  }
  assert.equal(transit.lead_ms(1000 / 60), 20.5);
});
