import assert from "node:assert/strict";
import { test } from "node:test";

import { Telemetry } from "../../../client_web/js/timing/telemetry.js";

const STAGES = { wait: 1, raster: 1, warp: 4, encode: 1 };

/** One second of 50 frames a second, each 30 ms late, with a cache 90 ms old. */
function watched() {
  const telemetry = new Telemetry();
  for (let i = 0; i < 50; i++) {
    const now = i * 20;
    telemetry.journal.viewSent({ seq: i, sent_at_ms: now - 30 });
    telemetry.eventReceived(
      {
        type: "frame",
        view_seq: i,
        mesh_seq: null,
        rtp_timestamp: i,
        cache_age_ms: 90,
        stages_ms: STAGES,
      },
      now,
    );
    telemetry.displayed({ presentedFrames: i, expectedDisplayTime: now, rtpTimestamp: i }, now);
    telemetry.received(i * 2500, now);
  }
  return telemetry;
}

test("the statistics report the displayed frames", () => {
  const measured = watched().measured(980);
  assert.ok(Math.abs(measured.fps_shown - 50) < 1, String(measured.fps_shown));
  assert.ok(Math.abs(measured.bitrate_kbps - 1000) < 25, String(measured.bitrate_kbps));
  // Views 0 and 1 were sent before the first frame was displayed.
  assert.deepEqual(measured.pose_to_photon_ms, { p50: 30, p95: 30, count: 48 });
  assert.deepEqual(measured.cache_age_ms, { p50: 90, p95: 90, count: 50 });
  assert.deepEqual(measured.stages_ms, STAGES);
  assert.equal(measured.view_seq_shown, 49);
});

test("what waits for the first frame of a session is its start, not latency", () => {
  const telemetry = new Telemetry();
  telemetry.journal.viewSent({ seq: 1, sent_at_ms: 100 });
  telemetry.journal.viewSent({ seq: 2, sent_at_ms: 590 });
  telemetry.journal.viewSent({ seq: 3, sent_at_ms: 610 });
  for (const [seq, displayed_ms] of [
    [1, 600],
    [2, 620],
    [3, 640],
  ]) {
    telemetry.eventReceived({ type: "frame", rtp_timestamp: seq, view_seq: seq }, displayed_ms);
    telemetry.displayed(
      { presentedFrames: seq, expectedDisplayTime: displayed_ms, rtpTimestamp: seq },
      displayed_ms,
    );
  }
  const { first_frame_ms, pose_to_photon_ms, sent_to_photon_ms } = telemetry.measured(640);
  assert.equal(first_frame_ms, 500);
  assert.deepEqual(pose_to_photon_ms, { p50: 30, p95: 30, count: 1 });
  assert.equal(sent_to_photon_ms.count, 1);
  assert.deepEqual(
    telemetry.log.since(0).map((row) => row.pose_to_photon_ms),
    [500, 30, 30],
  );
  telemetry.restart();
  assert.equal(telemetry.measured(640).first_frame_ms, null);
});

test("a new session starts without measurements", () => {
  const telemetry = watched();
  telemetry.restart();
  const measured = telemetry.measured(980);
  assert.equal(measured.fps_shown, 0);
  assert.equal(measured.pose_to_photon_ms.count, 0);
  assert.deepEqual(measured.stages_ms, {});
});

test("every displayed frame is logged with its known values", () => {
  const telemetry = watched();
  assert.equal(telemetry.log.length, 50);
  const [newest] = telemetry.log.since(980);
  assert.equal(newest.pose_to_photon_ms, 30);
  assert.equal(newest.moved, "view");
  assert.equal(newest.clock_offset_ms, null);
  assert.deepEqual(telemetry.frameStages(980).warp, { p50: 4, p95: 4, count: 50 });
  telemetry.restart();
  assert.equal(telemetry.log.length, 0);
});

test("answered pings give the server's clock until the session ends", () => {
  const telemetry = new Telemetry();
  telemetry.pongReceived({ type: "pong", sent_at_ms: 10, received_at_ms: 511 }, 12);
  assert.deepEqual(telemetry.measured(12).clock, { offset_ms: 500, error_ms: 1, round_trip_ms: 2 });
  telemetry.restart();
  assert.equal(telemetry.measured(12).clock, null);
});

test("each mesh frame is reported once, when its first frame is displayed", () => {
  const telemetry = new Telemetry();
  const reported = [];
  telemetry.onFace = (captured_ms, shown_ms) => reported.push([captured_ms, shown_ms]);
  for (const [i, mesh_seq, mesh_captured] of [
    [1, null, null],
    [2, 7, 1000],
    [3, 7, 1000],
    [4, 9, 1066],
  ]) {
    telemetry.eventReceived(
      { type: "frame", rtp_timestamp: i, mesh_seq, clock_ms: { mesh_captured } },
      i * 20,
    );
    telemetry.displayed(
      { presentedFrames: i, expectedDisplayTime: i * 20 + 9, rtpTimestamp: i },
      i * 20,
    );
  }
  assert.deepEqual(reported, [
    [1000, 49],
    [1066, 89],
  ]);
});

test("network values are removed when the server no longer sends them", () => {
  const telemetry = new Telemetry();
  assert.equal(telemetry.measured(0).network, null);
  const event = { type: "network", estimate_kbps: 1900, loss: 0, queue_ms: 3, round_trip_ms: 20 };
  telemetry.networkReceived(event, 1000);
  assert.equal(telemetry.measured(3900).network, event);
  assert.equal(telemetry.measured(4100).network, null);
  telemetry.networkReceived(event, 5000);
  telemetry.restart();
  assert.equal(telemetry.measured(5100).network, null);
});

test("frames are smaller by load as long as the newest event says so", () => {
  const telemetry = watched();
  assert.equal(telemetry.measured(980).lowered_from, null);
  const event = /** @type {const} */ ({ type: "frame", rtp_timestamp: 60, lowered_from: 512 });
  telemetry.eventReceived(event, 1000);
  assert.equal(telemetry.measured(1000).lowered_from, 512);
  telemetry.eventReceived({ type: "frame", rtp_timestamp: 61 }, 1020);
  assert.equal(telemetry.measured(1020).lowered_from, null);
});
