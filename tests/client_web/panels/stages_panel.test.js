import assert from "node:assert/strict";
import { test } from "node:test";

import { networkText, sizeText, tableRows } from "../../../client_web/js/panels/stages_panel.js";

test("the table shows the measured stages in the order of a frame", () => {
  const summaries = {
    uplink: { p50: 1, p95: 2 },
    warp: { p50: 4, p95: 9 },
    send: { p50: 0, p95: 0 },
  };
  const rows = tableRows(summaries, { stages_ms: { warp: 4, encode: 1 } });
  assert.deepEqual(
    rows.map(({ label, p50, p95 }) => [label, p50, p95]),
    [
      ["To the server", 1, 2],
      ["Warping the cache", 4, 9],
    ],
  );
});

test("without stages of frames the server's medians are shown", () => {
  const rows = tableRows({}, { stages_ms: { warp: 4, encode: 1 } });
  assert.deepEqual(
    rows.map(({ label, p95 }) => [label, p95]),
    [
      ["Warping the cache", null],
      ["Encoding", null],
    ],
  );
});

test("the network is described in one line, or not at all if unknown", () => {
  const network = {
    type: "network",
    estimate_kbps: 1940,
    loss: 0.014,
    queue_ms: 3.4,
    round_trip_ms: 20,
  };
  assert.equal(networkText({ network }), "Network: 1.9 Mb/s, 1 % lost, 3 ms queued");
  assert.equal(networkText({ network: null }), "");
});

test("frames that are smaller by load are explained", () => {
  assert.equal(
    sizeText({ lowered_from: 512 }),
    "Smaller frames: the server is too busy for 512 × 512",
  );
  assert.equal(sizeText({ lowered_from: null }), "");
});
