import assert from "node:assert/strict";
import { test } from "node:test";

import { frameStages, STAGES } from "../../../client_web/js/timing/stages.js";

const OFFSET = 100_000;

/** Sent at 1000, received 1002, drawn 1003..1013, encoded 1014..1016, sent 1017, shown 1030. */
const frame = (changes = {}) => ({
  event: {
    stages_ms: { wait: 1, queue: 2, raster: 3, warp: 4, hand_over: 1, encode: 2 },
    clock_ms: {
      view_received: OFFSET + 1002,
      mesh_received: OFFSET + 900,
      drawn: OFFSET + 1013,
      encoded: OFFSET + 1016,
      sent: OFFSET + 1017,
    },
  },
  metadata: { receiveTime: 1019, processingDuration: 0.001, presentationTime: 1022 },
  displayed_at_ms: 1030,
  origin: { kind: "view", sent_at_ms: 1000, moved_at_ms: 995 },
  ...changes,
});

const sum = (stages) => Object.values(stages).reduce((total, ms) => total + ms, 0);

test("the latency of a frame is split at the measured times", () => {
  assert.deepEqual(frameStages(frame(), OFFSET), {
    hold: 5,
    uplink: 2,
    wait: 1,
    queue: 2,
    raster: 3,
    warp: 4,
    hand_over: 2, // 1 of it between drawing and encoding
    encode: 2,
    send: 1,
    downlink: 2,
    buffer: 2,
    decode: 1,
    screen: 8,
  });
});

test("the stages sum to the latency for any estimate of the clock offset", () => {
  for (const offset of [OFFSET, OFFSET - 1.5, OFFSET + 1]) {
    assert.ok(Math.abs(sum(frameStages(frame(), offset)) - 35) < 1e-9);
  }
});

test("a view that arrives while the frame is queued is queued for less time", () => {
  const late = frame();
  late.event.clock_ms.view_received = OFFSET + 1004;
  const stages = frameStages(late, OFFSET);
  assert.equal(stages.wait, 0);
  assert.equal(stages.queue, 1);
  assert.ok(Math.abs(sum(stages) - 35) < 1e-9);
});

test("without the server's clock uplink and downlink are unknown", () => {
  const stages = frameStages(frame(), null);
  assert.ok(!("uplink" in stages) && !("downlink" in stages));
  assert.equal(stages.warp, 4);
  assert.equal(stages.screen, 8);
});

test("stages that a browser does not report are left out", () => {
  const stages = frameStages(frame({ metadata: { presentationTime: 1022 } }), OFFSET);
  assert.deepEqual(
    ["downlink", "buffer", "decode"].filter((id) => id in stages),
    [],
  );
  assert.equal(stages.screen, 8);
  assert.ok(!("screen" in frameStages(frame({ metadata: {} }), OFFSET)));
});

test("a frame that shows no new movement has no uplink", () => {
  const stages = frameStages(frame({ origin: null }), OFFSET);
  assert.ok(!("uplink" in stages));
  assert.equal(stages.wait, 1);
});

test("a repeated frame was not rendered for this event", () => {
  const again = frame();
  again.event.stages_ms = { encode: 2 };
  const stages = frameStages(again, OFFSET);
  assert.ok(!("warp" in stages));
  assert.equal(stages.wait, 12);
  assert.ok(Math.abs(sum(stages) - 35) < 1e-9);
  assert.ok(!("wait" in frameStages({ ...again, origin: null }, OFFSET)));
});

test("an older server's durations are used unchanged", () => {
  const stages = frameStages(frame({ event: { stages_ms: { warp: 4 } } }), OFFSET);
  assert.deepEqual(stages, { warp: 4 });
});

const BEFORE_SENDING = { camera: 8, track: 30, filter: 2 };

test("processing of a camera frame before sending is not counted as waiting", () => {
  const origin = { kind: "mesh", sent_at_ms: 1000, moved_at_ms: 950, stages: BEFORE_SENDING };
  const stages = frameStages(frame({ origin }), OFFSET);
  assert.deepEqual([stages.camera, stages.track, stages.filter, stages.hold], [8, 30, 2, 10]);
  assert.equal(Math.round(sum(stages)), 80);
});

test("every stage has its own text and colour", () => {
  const known = new Set(STAGES.map(({ id }) => id));
  const origin = { kind: "mesh", sent_at_ms: 1000, moved_at_ms: 950, stages: BEFORE_SENDING };
  assert.deepEqual(new Set(Object.keys(frameStages(frame({ origin }), OFFSET))), known);
  assert.equal(new Set(STAGES.map(({ words }) => words)).size, known.size);
  assert.equal(new Set(STAGES.map(({ colour }) => colour)).size, known.size);
});
