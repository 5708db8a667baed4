import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { openMeshPublisher } from "../../../client_web/js/connection/mesh_publisher.js";
import { settled } from "../fakes.js";

const FRAME = new ArrayBuffer(135);
const BASE = new URL("https://server.test/face/");

let socket;
class FakeSocket {
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  closed = 0;

  constructor(address) {
    this.address = String(address);
    socket = this;
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  send(message) {
    this.sent.push(message);
  }

  close() {
    this.closed += 1;
    this.onclose?.({ code: 1005, reason: "" });
  }
}

const real = { WebSocket: globalThis.WebSocket, fetch: globalThis.fetch };
beforeEach(() => {
  globalThis.WebSocket = FakeSocket;
  globalThis.fetch = async () => Response.json({});
});
afterEach(() => {
  mock.timers.reset();
  Object.assign(globalThis, real);
});

/** A publisher that is being opened, and what it reports. */
async function opening() {
  const ends = [];
  const refused = [];
  const events = {
    onEnd: ({ kind, detail }) => ends.push([kind, detail]),
    onRefused: (detail) => refused.push(detail),
  };
  const opened = openMeshPublisher(BASE, "my face", events);
  opened.catch(() => {}); // awaited by the test, later
  await settled();
  return { opened, ends, refused };
}

async function open() {
  const { opened, ...events } = await opening();
  socket.open();
  return { publisher: await opened, ...events };
}

test("frames are sent over a WebSocket next to the stream", async () => {
  const { publisher } = await open();
  assert.equal(socket.address, "wss://server.test/face/v1/streams/my%20face/frames");
  assert.equal(publisher.send(FRAME), true);
  assert.deepEqual(socket.sent, [FRAME]);
});

test("a frame that would wait behind another is not sent", async () => {
  const { publisher } = await open();
  socket.bufferedAmount = 135;
  assert.equal(publisher.send(FRAME), true, "one frame may wait");
  socket.bufferedAmount = 136;
  assert.equal(publisher.send(FRAME), false);
  Object.assign(socket, { bufferedAmount: 0, readyState: 2 });
  assert.equal(publisher.send(FRAME), false, "the connection is closing");
  assert.equal(socket.sent.length, 1);
});

test("frames that the server refuses are reported, other messages are not", async () => {
  const { refused } = await open();
  socket.onmessage({ data: '{"type": "error", "detail": "expected 52 coefficients, got 51"}' });
  socket.onmessage({ data: '{"type": "pong"}' });
  socket.onmessage({ data: "no JSON" });
  assert.deepEqual(refused, ["expected 52 coefficients, got 51"]);
});

test("a connection that ends by itself tells why, by the server's close code", async () => {
  for (const [code, kind] of [
    [4401, "sign-in"],
    [4403, "sign-in"],
    [4404, "unknown-stream"],
    [4409, "refused"],
    [1006, "unreachable"],
  ]) {
    const { ends } = await open();
    socket.onclose({ code, reason: "words" });
    assert.deepEqual(ends, [[kind, "words"]], String(code));
  }
});

test("a connection that the page closes reports no end", async () => {
  const { publisher, ends } = await open();
  publisher.close();
  assert.equal(socket.closed, 1);
  assert.deepEqual(ends, []);
});

test("a connection that is refused while it opens is an error", async () => {
  const { opened } = await opening();
  socket.onclose({ code: 4403, reason: "the token lacks the scope publish" });
  await assert.rejects(opened, { kind: "sign-in", detail: "the token lacks the scope publish" });
});

test("a server that does not answer for ten seconds is unreachable", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { opened } = await opening();
  mock.timers.tick(9_999);
  assert.equal(socket.closed, 0);
  mock.timers.tick(1);
  assert.equal(socket.closed, 1);
  await assert.rejects(opened, { kind: "unreachable" });
});
