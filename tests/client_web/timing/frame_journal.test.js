import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameJournal } from "../../../client_web/js/timing/frame_journal.js";

/** A journal, and the latencies of the frames it reports. */
function recorded() {
  const samples = [];
  const journal = new FrameJournal(({ displayed_at_ms, origin }) => {
    if (origin) samples.push(displayed_at_ms - origin.moved_at_ms);
  });
  return { samples, journal };
}

const event = (rtp_timestamp, view_seq, mesh_seq = null) => ({
  type: "frame",
  rtp_timestamp,
  view_seq,
  mesh_seq,
});

test("latency runs from sending a view to the first frame that shows it", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 100 });
  journal.eventReceived(event(9000, 1));
  journal.displayed(9000, 125);
  assert.deepEqual(samples, [25]);
  assert.equal(journal.viewShown, 1);
});

test("latency begins when the eye moved, which may be before the view was sent", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 100, moved_at_ms: 92 });
  journal.eventReceived(event(9000, 1));
  journal.displayed(9000, 125);
  assert.deepEqual(samples, [33]);
});

test("a frame and its event may come in either order", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 100 });
  journal.displayed(9000, 130);
  assert.deepEqual(samples, []);
  journal.eventReceived(event(9000, 1));
  assert.deepEqual(samples, [30]);
});

test("later frames with the same view are not counted", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 100 });
  for (const [rtp, at_ms] of [
    [1, 120],
    [2, 136],
    [3, 152],
  ]) {
    journal.eventReceived(event(rtp, 1));
    journal.displayed(rtp, at_ms);
  }
  assert.deepEqual(samples, [20]);
});

test("the view of a frame that is never displayed counts for the next", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 100 });
  journal.eventReceived(event(1, 1));
  journal.eventReceived(event(2, 1));
  journal.displayed(2, 140);
  assert.deepEqual(samples, [40]);
});

test("a view that a newer one overtakes is not counted", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 100 });
  journal.viewSent({ seq: 2, sent_at_ms: 110 });
  journal.eventReceived(event(1, 2));
  journal.displayed(1, 130);
  journal.eventReceived(event(2, 1));
  journal.displayed(2, 150);
  assert.deepEqual(samples, [20]);
});

test("mesh frames of the stream's publisher are not counted", () => {
  const { samples, journal } = recorded();
  journal.eventReceived(event(1, null, 17));
  journal.displayed(1, 130);
  assert.deepEqual(samples, []);
  assert.equal(journal.meshShown, null);
});

test("a frame with a new view and a new mesh frame is as late as the older one", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 100 });
  journal.meshSent(5000, 108);
  journal.eventReceived(event(1, 1, 5000));
  journal.displayed(1, 130);
  assert.deepEqual(samples, [30]);
  assert.equal(journal.meshShown, 5000);
});

test("frames and events of different sessions are not joined", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 100 });
  journal.eventReceived(event(1, 1));
  journal.restart();
  journal.displayed(1, 130);
  assert.deepEqual(samples, []);
});

test("an event whose frame is never displayed is eventually deleted", () => {
  const { samples, journal } = recorded();
  journal.viewSent({ seq: 1, sent_at_ms: 0 });
  journal.eventReceived(event(0, 1));
  for (let rtp = 1; rtp < 2000; rtp++) journal.eventReceived(event(rtp, null));
  journal.displayed(0, 5);
  assert.deepEqual(samples, []);
});

const A = { rotation: [0, 0, 0, 1], position: [0, 0, 0.7] };
const B = { rotation: [0, 0, 0, 1], position: [0.1, 0, 0.7] };

test("the displayed pose is that of the view the frame was rendered for, once it is known", () => {
  const journal = new FrameJournal();
  journal.viewSent({ seq: 1, sent_at_ms: 0, pose: A });
  journal.viewSent({ seq: 2, sent_at_ms: 0, pose: B });
  journal.eventReceived({ type: "frame", rtp_timestamp: 90, view_seq: 1 });
  assert.equal(journal.displayedPose, null);
  journal.displayed(90, 0);
  assert.equal(journal.displayedPose, A);
  assert.equal(journal.displayedHead, null);
  journal.displayed(180, 0); // displayed before the server's event
  assert.equal(journal.displayedPose, null);
  const head = { rotation: [0, 0, 0, 1], translation: [0, 0.01, 0] };
  journal.eventReceived({ type: "frame", rtp_timestamp: 180, view_seq: 2, head });
  assert.equal(journal.displayedHead, head);
  assert.equal(journal.displayedPose, B);
});

test("frames of the default view, of unknown views and of other sessions have no pose", () => {
  const journal = new FrameJournal();
  journal.eventReceived({ type: "frame", rtp_timestamp: 1, view_seq: null });
  journal.eventReceived({ type: "frame", rtp_timestamp: 2, view_seq: 7 });
  for (const rtp of [1, 2, 3, undefined]) {
    journal.displayed(rtp, 0);
    assert.equal(journal.displayedPose, null);
  }
  journal.viewSent({ seq: 7, sent_at_ms: 0, pose: A });
  journal.displayed(2, 0);
  assert.equal(journal.displayedPose, A);
  journal.restart();
  assert.equal(journal.displayedPose, null);
});

test("old views are deleted", () => {
  const journal = new FrameJournal();
  journal.viewSent({ seq: 0, sent_at_ms: 0, pose: A });
  journal.eventReceived({ type: "frame", rtp_timestamp: 0, view_seq: 0 });
  for (let i = 1; i < 1000; i++) journal.viewSent({ seq: i, sent_at_ms: 0, pose: B });
  journal.displayed(0, 0);
  assert.equal(journal.displayedPose, null);
});

test("a record joins view, mesh frame, event and display in any order", () => {
  const frames = [];
  const journal = new FrameJournal((frame) => frames.push(frame));
  journal.viewSent({ seq: 4, sent_at_ms: 100, moved_at_ms: 95, planned_ms: 99, pose: A });
  journal.meshSent(5000, 98);
  journal.displayed(9000, 130, { presentationTime: 125 });
  journal.eventReceived({ ...event(9000, 4, 5000), clock_ms: { sent: 1120 } }, 1000);
  const [frame] = frames;
  assert.deepEqual(frame.view, {
    seq: 4,
    sent_at_ms: 100,
    moved_at_ms: 95,
    planned_ms: 99,
    pose: A,
    fov_y_rad: null,
  });
  assert.deepEqual(frame.mesh, { seq: 5000, sent_at_ms: 98, moved_at_ms: 98 });
  assert.equal(frame.server_sent_ms, 120);
  assert.equal(frame.displayed_at_ms, 130);
  assert.deepEqual(frame.metadata, { presentationTime: 125 });
  assert.deepEqual(frame.origin, { kind: "view", sent_at_ms: 100, moved_at_ms: 95 });
});

test("frames replaced before they were displayed are reported once, oldest first", () => {
  const skippedBy = {};
  const journal = new FrameJournal(({ rtp_timestamp }, skipped) => {
    skippedBy[rtp_timestamp] = skipped.map((frame) => frame.rtp_timestamp);
  });
  for (let seq = 1; seq <= 4; seq++) {
    journal.viewSent({ seq, sent_at_ms: seq, planned_ms: seq });
    journal.eventReceived(event(10 * seq, seq));
  }
  journal.displayed(30, 50);
  journal.displayed(20, 51);
  journal.displayed(40, 52);
  assert.deepEqual(skippedBy, { 20: [], 30: [10, 20], 40: [] });
});

test("a frame that is displayed again is reported once", () => {
  const frames = [];
  const journal = new FrameJournal((frame) => frames.push(frame));
  journal.eventReceived(event(1, null));
  journal.displayed(1, 10);
  journal.displayed(1, 26);
  journal.eventReceived(event(1, null));
  assert.deepEqual(
    frames.map(({ displayed_at_ms }) => displayed_at_ms),
    [10],
  );
});
