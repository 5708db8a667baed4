import assert from "node:assert/strict";
import { test } from "node:test";

import { stackColumns } from "../../../client_web/js/panels/stage_plot.js";

const row = (presented_at_ms, stages) => ({ presented_at_ms, stages });

test("columns stack the stages of a frame without gaps, the newest at the right", () => {
  const { columns, top_ms } = stackColumns([row(9_999, { warp: 4, uplink: 2 })], 10_000, 100);
  assert.equal(top_ms, 20);
  assert.equal(columns.length, 1);
  assert.equal(columns[0].x, 0.99);
  assert.deepEqual(
    columns[0].parts.map(({ from_ms, to_ms }) => [from_ms, to_ms]),
    [
      [0, 2],
      [2, 6],
    ],
  );
});

test("of frames that share a column the slowest is shown, and old ones are left out", () => {
  const rows = [row(-1, { warp: 90 }), row(9_995, { warp: 30 }), row(9_999, { warp: 4 })];
  const { columns, top_ms } = stackColumns(rows, 10_000, 100);
  assert.equal(columns.length, 1);
  assert.equal(columns[0].parts[0].to_ms, 30);
  assert.equal(top_ms, 40);
});

test("one slow frame does not change the scale", () => {
  const rows = Array.from({ length: 100 }, (_, i) => row(i * 100, { warp: i === 50 ? 900 : 15 }));
  assert.equal(stackColumns(rows, 9_900, 200).top_ms, 20);
});

test("an empty plot has a scale", () => {
  assert.deepEqual(stackColumns([], 0, 10), { columns: [], top_ms: 20 });
});
