import assert from "node:assert/strict";
import { test } from "node:test";

import { callApi } from "../../../client_web/js/app/call_api.js";
import { FrameLog } from "../../../client_web/js/timing/frame_log.js";

const epoch = (at_ms) => performance.timeOrigin + at_ms;

/** The page of a call in which seat 2 was displayed in some frames. */
function page(rows) {
  const log = new FrameLog();
  for (const [mesh_seq, presented_at_ms] of rows)
    log.add({ mesh_seq, presented_at_ms, stages: {} });
  return {
    sentFaces: new Map([[7, { captured_ms: 100, sent_ms: 130 }]]),
    table: { tile: (seat) => (seat === 2 ? { telemetry: { log } } : null) },
    stats: async () => ({ phase: "seated" }),
  };
}

test("a face counts as displayed with its first frame", () => {
  const api = callApi(
    page([
      [null, 90],
      [5, 100],
      [5, 116],
      [6, 133],
      [5, 150],
    ]),
  );
  assert.deepEqual(api.displayedFaces(2), [
    [5, epoch(100)],
    [6, epoch(133)],
  ]);
  assert.deepEqual(api.displayedFaces(3), [], "nobody sits there");
});

test("captured and sent faces have times since 1970, as those of other pages", async () => {
  const api = callApi(page([]));
  assert.deepEqual(api.capturedFaces(), [[7, epoch(100)]]);
  assert.deepEqual(api.sentFaces(), [[7, epoch(130)]]);
  assert.deepEqual(await api.stats(), { phase: "seated" });
});
