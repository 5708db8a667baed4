import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerClock } from "../../../client_web/js/timing/server_clock.js";

const pong = (sent_at_ms, received_at_ms) => ({ type: "pong", sent_at_ms, received_at_ms });

test("the offset is unknown before the first response", () => {
  assert.equal(new ServerClock().estimate, null);
});

test("the fastest ping gives the offset and its largest error", () => {
  const clock = new ServerClock();
  clock.add(pong(0, 5030), 40); // 30 ms uplink, 10 ms downlink: an error of 10 ms
  clock.add(pong(100, 5102), 104); // 2 ms and 2 ms
  clock.add(pong(200, 5201), 260);
  assert.deepEqual(clock.estimate, { offset_ms: 5000, error_ms: 2, round_trip_ms: 4 });
});

test("an old fast ping no longer counts, because clocks drift", () => {
  const clock = new ServerClock();
  clock.add(pong(0, 5001), 2);
  clock.add(pong(11_000, 16_010), 11_010);
  assert.deepEqual(clock.estimate, { offset_ms: 5005, error_ms: 5, round_trip_ms: 10 });
});

test("an implausible response is ignored", () => {
  const clock = new ServerClock();
  clock.add(pong(50, 5000), 40);
  clock.add(pong(50, undefined), 60);
  assert.equal(clock.estimate, null);
});

test("another session may have another clock", () => {
  const clock = new ServerClock();
  clock.add(pong(0, 5001), 2);
  clock.clear();
  assert.equal(clock.estimate, null);
});
