import assert from "node:assert/strict";
import { test } from "node:test";

import { LiveChannel } from "../../../client_web/js/connection/live_channel.js";

/** A channel that buffers messages until the test sends them. */
function slowChannel(most_bytes) {
  const waiting = [];
  const channel = {
    readyState: "open",
    get bufferedAmount() {
      return waiting.reduce((sum, message) => sum + (message.byteLength ?? message.length), 0);
    },
    send: (message) => waiting.push(message),
  };
  let roomEvents = 0;
  const live = new LiveChannel(channel, most_bytes, () => {
    roomEvents += 1;
  });
  const drain = () => {
    waiting.length = 0;
    channel.onbufferedamountlow();
  };
  return { channel, live, waiting, drain, roomEvents: () => roomEvents };
}

test("on a stalled connection few values are buffered, and the newest is requested later", () => {
  const { live, waiting, drain, roomEvents } = slowChannel(20);
  const sent = Array.from({ length: 300 }, (_, seq) => live.send(`a view of 16 ${seq}`));
  assert.ok(waiting.length <= 3);
  assert.equal(sent.filter(Boolean).length, waiting.length);
  drain();
  assert.equal(roomEvents(), 1);
  assert.ok(live.send("the newest"));
  drain();
  assert.equal(roomEvents(), 1); // no send was rejected: reporting room after every send would never end
});

test("a frame waits behind at most one other", () => {
  const { live, waiting } = slowChannel(135);
  const frame = new ArrayBuffer(135);
  const sent = [1, 2, 3, 4].map(() => live.send(frame));
  assert.deepEqual(sent, [true, true, false, false]);
  assert.equal(waiting.length, 2);
});

test("nothing is sent or requested on a channel that is not open", () => {
  const { channel, live, waiting, drain, roomEvents } = slowChannel(20);
  channel.readyState = "connecting";
  assert.equal(live.send("too early"), false);
  drain();
  assert.equal(roomEvents(), 0);
  assert.equal(waiting.length, 0);
});
