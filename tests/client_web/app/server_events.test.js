import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { ServerEvents } from "../../../client_web/js/app/server_events.js";

function receiving() {
  const calls = [];
  const telemetry = {
    eventReceived: ({ rtp_timestamp }) => calls.push(`frame ${rtp_timestamp}`),
    pongReceived: ({ sent_at_ms }) => calls.push(`pong ${sent_at_ms}`),
    networkReceived: ({ estimate_kbps }) => calls.push(`network ${estimate_kbps}`),
    serverError: () => calls.push("error"),
  };
  const viewClock = { fps: 60 };
  const errorLine = { textContent: "" };
  const onVoice = ({ rtp_timestamp }) => calls.push(`voice ${rtp_timestamp}`);
  const onDraining = () => calls.push("draining");
  const events = new ServerEvents(telemetry, viewClock, errorLine, onDraining, onVoice);
  return { events, calls, viewClock, errorLine };
}

test("events are passed to their handlers", () => {
  const { events, calls, viewClock } = receiving();
  events.receive({ type: "frame", rtp_timestamp: 9 });
  events.receive({ type: "pong", sent_at_ms: 5, received_at_ms: 6, fps: 30 });
  events.receive({ type: "pong", sent_at_ms: 7, received_at_ms: 8 });
  events.receive({ type: "draining" });
  events.receive({ type: "voice", rtp_timestamp: 3, captured_at_ms: 5 });
  events.receive({ type: "network", estimate_kbps: 1900, loss: 0, queue_ms: 1, round_trip_ms: 9 });
  assert.deepEqual(calls, ["frame 9", "pong 5", "pong 7", "draining", "voice 3", "network 1900"]);
  assert.equal(viewClock.fps, 30);
});

test("an error stays visible for a while after the last one", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { events, calls, errorLine } = receiving();
  events.receive({ type: "error", detail: "no scope drive" });
  assert.equal(errorLine.textContent, "The server says: no scope drive");
  mock.timers.tick(4000);
  events.receive({ type: "error", detail: "again" });
  mock.timers.tick(4000);
  assert.equal(errorLine.textContent, "The server says: again");
  mock.timers.tick(1001);
  assert.equal(errorLine.textContent, "");
  assert.deepEqual(calls, ["error", "error"]);
  mock.timers.reset();
});
