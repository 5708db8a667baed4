import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameLog, stagePercentiles } from "../../../client_web/js/timing/frame_log.js";

const row = (presented_at_ms, stages = { warp: 4 }) => ({
  presented_at_ms,
  rtp_timestamp: presented_at_ms * 90,
  view_seq: 3,
  mesh_seq: null,
  moved: "view",
  sent_at_ms: presented_at_ms - 20,
  pose_to_photon_ms: 20,
  cache_age_ms: 90,
  clock_offset_ms: 1234.5678,
  clock_error_ms: null,
  stages,
});

function logged(rows) {
  const log = new FrameLog();
  for (const one of rows) log.add(one);
  return log;
}

test("the table has a row for each frame, and every row a cell for each column", () => {
  const csv = logged([row(100), row(116, { uplink: 0.456, warp: 5 })]).toCsv();
  const [heads, ...rows] = csv.trimEnd().split("\r\n");
  const names = heads.split(",");
  assert.equal(rows.length, 2);
  const table = rows.map((line) =>
    Object.fromEntries(line.split(",").map((value, i) => [names[i], value])),
  );
  assert.equal(names.length, new Set(names).size);
  assert.deepEqual(
    rows.map((line) => line.split(",").length),
    [names.length, names.length],
  );
  assert.equal(table[0].warp_ms, "4");
  assert.equal(table[0].uplink_ms, ""); // not zero: it is not known
  assert.equal(table[1].uplink_ms, "0.46");
  assert.equal(table[1].moved, "view");
  assert.equal(table[1].clock_offset_ms, "1234.57");
  assert.ok(csv.endsWith("\r\n"));
});

test("the log is bounded and keeps the newest rows", () => {
  const log = logged(Array.from({ length: 40_000 }, (_, i) => row(i)));
  assert.ok(log.length <= 19_800, String(log.length));
  assert.equal(log.since(39_990).length, 10);
});

test("rows since a time are found, whether or not there are older ones", () => {
  const log = logged([row(100), row(200), row(300)]);
  assert.equal(log.since(150).length, 2);
  assert.equal(log.since(0).length, 3);
  assert.equal(log.since(301).length, 0);
});

test("percentiles include only frames with a value for the stage", () => {
  const rows = [1, 2, 3, 4].map((warp) => row(0, warp === 4 ? { warp, uplink: 9 } : { warp }));
  assert.deepEqual(stagePercentiles(rows), {
    uplink: { p50: 9, p95: 9, count: 1 },
    warp: { p50: 2, p95: 4, count: 4 },
  });
});
