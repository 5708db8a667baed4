import assert from "node:assert/strict";
import { test } from "node:test";

import { LiveChannel } from "../../../client_web/js/connection/live_channel.js";

/** A channel whose messages wait until the test lets them out. */
function slowChannel(most_bytes) {
  const waiting = [];
  const channel = {
    readyState: "open",
    get bufferedAmount() {
      return waiting.reduce((sum, message) => sum + (message.byteLength ?? message.length), 0);
    },
    send: (message) => waiting.push(message),
  };
  let rooms = 0;
  const live = new LiveChannel(channel, most_bytes, () => {
    rooms += 1;
  });
  const letOut = () => {
    waiting.length = 0;
    channel.onbufferedamountlow();
  };
  return { channel, live, waiting, letOut, rooms: () => rooms };
}

test("of many values on a connection that is stuck only few wait, and the newest is asked for", () => {
  const { live, waiting, letOut, rooms } = slowChannel(20);
  const sent = Array.from({ length: 300 }, (_, seq) => live.send(`a view of 16 ${seq}`));
  assert.ok(waiting.length <= 3);
  assert.equal(sent.filter(Boolean).length, waiting.length);
  letOut();
  assert.equal(rooms(), 1);
  assert.ok(live.send("the newest"));
  letOut();
  assert.equal(rooms(), 1); // nothing was refused: sending for room would never end
});

test("a frame waits behind one other at most", () => {
  const { live, waiting } = slowChannel(135);
  const frame = new ArrayBuffer(135);
  const sent = [1, 2, 3, 4].map(() => live.send(frame));
  assert.deepEqual(sent, [true, true, false, false]);
  assert.equal(waiting.length, 2);
});

test("nothing is sent or asked for on a channel that is not open", () => {
  const { channel, live, waiting, letOut, rooms } = slowChannel(20);
  channel.readyState = "connecting";
  assert.equal(live.send("too early"), false);
  letOut();
  assert.equal(rooms(), 0);
  assert.equal(waiting.length, 0);
});
