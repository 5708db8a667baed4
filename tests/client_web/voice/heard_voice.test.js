import assert from "node:assert/strict";
import { test } from "node:test";

import { HeardVoice } from "../../../client_web/js/voice/heard_voice.js";

const ORIGIN_MS = 1_700_000_000_000;

/** A receiver whose reports the test sets. */
function receiving() {
  const inbound = { type: "inbound-rtp" };
  const playout = { type: "media-playout" };
  const sources = [];
  const receiver = {
    getStats: async () => new Map(Object.entries({ inbound, playout })),
    getSynchronizationSources: () => sources,
  };
  return { voice: new HeardVoice(receiver, ORIGIN_MS), inbound, playout, sources };
}

test("packets, level and jitter buffer are measured since the last report", async () => {
  const { voice, inbound } = receiving();
  Object.assign(inbound, {
    packetsReceived: 100,
    jitterBufferDelay: 999,
    jitterBufferEmittedCount: 48_000,
  });
  await voice.update();
  Object.assign(inbound, {
    packetsReceived: 105,
    audioLevel: 0.25,
    jitterBufferDelay: 999 + 480,
    jitterBufferEmittedCount: 48_000 + 4800,
  });
  await voice.update();
  assert.deepEqual([voice.arriving, voice.level], [true, 0.25]);
  assert.ok(Math.abs(voice.held_ms - 100) < 1e-9);
  await voice.update();
  assert.deepEqual([voice.arriving, voice.held_ms], [false, 0]);
});

test("the path runs from capture to loudspeaker, on both clocks", async () => {
  const { voice, playout, sources } = receiving();
  assert.equal(voice.path(), null);
  voice.clockReceived({ rtp_timestamp: 0xffffff00, captured_at_ms: 5000 });
  assert.equal(voice.path(), null); // nothing is played
  await voice.update();
  Object.assign(playout, { totalPlayoutDelay: 48, totalSamplesCount: 4800 }); // 10 ms each
  await voice.update();
  // 256 + 224 ticks after the clock: 10 ms.
  sources.push({ rtpTimestamp: 224, timestamp: ORIGIN_MS + 900 });
  const { path_ms, at_ms } = voice.path();
  assert.equal(at_ms, 900);
  assert.ok(Math.abs(path_ms - (900 + 10 - 5 - 5010)) < 1e-9);
});
