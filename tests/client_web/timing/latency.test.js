import assert from "node:assert/strict";
import { test } from "node:test";

import { LatencyJoin } from "../../../client_web/js/timing/latency.js";

function joined() {
  const samples = [];
  return { samples, join: new LatencyJoin((latency_ms) => samples.push(latency_ms)) };
}

const report = (rtp_timestamp, view_seq, mesh_seq = null) => ({
  type: "frame",
  rtp_timestamp,
  view_seq,
  mesh_seq,
});

test("latency runs from sending a view to the first frame that shows it", () => {
  const { samples, join } = joined();
  join.viewSent(1, 100);
  join.reported(report(9000, 1));
  join.displayed(9000, 125);
  assert.deepEqual(samples, [25]);
  assert.equal(join.viewShown, 1);
});

test("latency begins when the eye moved, which may be before the view was sent", () => {
  const { samples, join } = joined();
  join.viewSent(1, 100, 92);
  join.reported(report(9000, 1));
  join.displayed(9000, 125);
  assert.deepEqual(samples, [33]);
});

test("the frame and its report may come in either order", () => {
  const { samples, join } = joined();
  join.viewSent(1, 100);
  join.displayed(9000, 130);
  assert.deepEqual(samples, []);
  join.reported(report(9000, 1));
  assert.deepEqual(samples, [30]);
});

test("later frames with the same view are not counted", () => {
  const { samples, join } = joined();
  join.viewSent(1, 100);
  for (const [rtp, at_ms] of [
    [1, 120],
    [2, 136],
    [3, 152],
  ]) {
    join.reported(report(rtp, 1));
    join.displayed(rtp, at_ms);
  }
  assert.deepEqual(samples, [20]);
});

test("a frame that never reached the screen leaves its view to the next", () => {
  const { samples, join } = joined();
  join.viewSent(1, 100);
  join.reported(report(1, 1));
  join.reported(report(2, 1));
  join.displayed(2, 140);
  assert.deepEqual(samples, [40]);
});

test("a view that a newer one overtook counts for nothing", () => {
  const { samples, join } = joined();
  join.viewSent(1, 100);
  join.viewSent(2, 110);
  join.reported(report(1, 2));
  join.displayed(1, 130);
  join.reported(report(2, 1));
  join.displayed(2, 150);
  assert.deepEqual(samples, [20]);
});

test("a stream's own mesh frames are not ours", () => {
  const { samples, join } = joined();
  join.reported(report(1, null, 17));
  join.displayed(1, 130);
  assert.deepEqual(samples, []);
  assert.equal(join.meshShown, null);
});

test("a frame with a new view and a new face is as late as the older one", () => {
  const { samples, join } = joined();
  join.viewSent(1, 100);
  join.meshSent(5000, 108);
  join.reported(report(1, 1, 5000));
  join.displayed(1, 130);
  assert.deepEqual(samples, [30]);
  assert.equal(join.meshShown, 5000);
});

test("nothing is joined across sessions", () => {
  const { samples, join } = joined();
  join.viewSent(1, 100);
  join.reported(report(1, 1));
  join.restart();
  join.displayed(1, 130);
  assert.deepEqual(samples, []);
});

test("what never finds its other half is forgotten in the end", () => {
  const { samples, join } = joined();
  join.viewSent(1, 0);
  join.reported(report(0, 1));
  for (let rtp = 1; rtp < 2000; rtp++) join.reported(report(rtp, null));
  join.displayed(0, 5);
  assert.deepEqual(samples, []);
});
