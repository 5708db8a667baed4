import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { CallPublisher } from "../../../client_web/js/app/call_publisher.js";
import { settled } from "../fakes.js";

const AVATAR = { id: "default", expression_names: ["jawOpen"] };
const FRAME = {
  face: null,
  capturedAt_ms: 2100,
  arrivedAt_ms: 2104,
  trackedAt_ms: 2130,
  tracking_ms: 25,
};
const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, -50, 1];
const real = { WebSocket: globalThis.WebSocket, fetch: globalThis.fetch };
const sockets = [];

class FakeSocket {
  readyState = 1;
  bufferedAmount = 0;
  sent = [];

  constructor(address) {
    this.address = String(address);
    sockets.push(this);
    setImmediate(() => this.onopen());
  }

  send(message) {
    this.sent.push(message);
  }

  close() {
    this.closed = true;
  }
}

beforeEach(() => {
  sockets.length = 0;
  globalThis.WebSocket = FakeSocket;
  globalThis.fetch = async () => Response.json({ id: "us:abc" });
});
afterEach(() => Object.assign(globalThis, real));

test("mesh frames of a call carry capture times on the clock of the voice, since 1970", async () => {
  const events = { onTrouble() {}, onVoice() {}, onRefused() {} };
  const publisher = new CallPublisher(
    () => null,
    events,
    () => 2131,
  );
  await publisher.open({ stream: "us:abc", host: new URL("http://server.test/") }, AVATAR);
  await settled();
  publisher.publish({ ...FRAME, face: { coefficients: { jawOpen: 0.5 }, matrix: IDENTITY } });
  const [socket] = sockets;
  assert.equal(socket.address, "ws://server.test/v1/streams/us%3Aabc/frames");
  assert.equal(
    new DataView(socket.sent[0]).getFloat64(9, true),
    performance.timeOrigin + FRAME.capturedAt_ms,
  );
  const [face] = publisher.sentFaces.values();
  assert.deepEqual(face, { captured_ms: FRAME.capturedAt_ms, sent_ms: 2131 });
  publisher.close();
  assert.ok(socket.closed);
});
