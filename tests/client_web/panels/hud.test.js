import assert from "node:assert/strict";
import { test } from "node:test";

import { hudTexts } from "../../../client_web/js/panels/hud.js";
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

test("in a browser that does not report its displayed frames, latency is n/a", () => {
  const telemetry = new Telemetry();
  telemetry.displayed({ presentedFrames: 1, expectedDisplayTime: 10 }, 10);
  assert.equal(hudTexts(telemetry.measured(10), true).latency, "n/a");
});

test("displayed numbers are rounded, and missing ones are not zero", () => {
  const texts = hudTexts(watched().measured(980), true);
  assert.equal(texts.latency, "30");
  assert.equal(texts.latency_p95, "p95 30");
  assert.equal(texts.cache, "90");
  assert.equal(texts.bitrate, "1.0");
  const before = hudTexts(new Telemetry().measured(0), false);
  assert.deepEqual(
    [before.fps, before.latency, before.cache, before.bitrate],
    ["–", "–", "–", "–"],
  );
});
