import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { JpegSession } from "../../../client_web/js/connection/jpeg_session.js";
import { settled } from "../fakes.js";

const ENDPOINT = new URL("https://server.test/v1/streams/demo/whep");

class FakeSocket {
  static last = null;
  readyState = 1;
  bufferedAmount = 0;
  sent = [];

  constructor(url, subprotocols) {
    this.url = String(url);
    this.subprotocols = subprotocols;
    FakeSocket.last = this;
  }

  send(text) {
    this.sent.push(text);
  }

  close() {
    this.readyState = 3;
  }

  receive(message) {
    this.onmessage({ data: message instanceof Blob ? message : JSON.stringify(message) });
  }
}

beforeEach(() => {
  globalThis.WebSocket = FakeSocket;
  globalThis.createImageBitmap = async () => ({ width: 64, height: 64, close: () => {} });
});
afterEach(() => {
  delete globalThis.WebSocket;
  delete globalThis.createImageBitmap;
});

function opening(ticket = null, endpoint = ENDPOINT, display_px = 0) {
  const received = [];
  const drawn = [];
  const canvas = { width: 0, height: 0, getContext: () => ({ drawImage: () => {} }) };
  const session = new JpegSession(canvas, {
    onEvent: (event) => received.push(event),
    onReady: () => received.push("ready"),
    onImage: (image) => drawn.push(image),
  });
  const opened = session.open(endpoint, new AbortController().signal, ticket, display_px);
  return { session, opened, received, drawn, canvas, socket: FakeSocket.last };
}

test("opens a WebSocket next to the endpoint, with the ticket", async () => {
  const { session, opened, received, socket } = opening("T");
  assert.equal(socket.url, "wss://server.test/v1/streams/demo/pictures");
  assert.deepEqual(socket.subprotocols, ["telewarp", "telewarp.ticket.T"]);
  socket.receive({ type: "session", id: "abc" });
  await opened;
  assert.equal(session.id, "abc");
  assert.deepEqual(received, ["ready"]);
  session.close();
});

test("asks for frames of the size of the display", async () => {
  const { session, opened, socket } = opening(null, ENDPOINT, 300);
  assert.equal(socket.url, "wss://server.test/v1/streams/demo/pictures?display=300");
  session.close();
  await assert.rejects(opened);
});

test("requests the background that the endpoint names", async () => {
  const endpoint = new URL("?background=00b140", ENDPOINT);
  const { session, opened, socket } = opening(null, endpoint);
  assert.equal(socket.url, "wss://server.test/v1/streams/demo/pictures?background=00b140");
  socket.receive({ type: "session", id: "abc" });
  await opened;
  assert.equal(session.address.href, "https://server.test/v1/sessions/abc");
  session.close();
});

test("an image is drawn and acknowledged, and its event is parsed once", async () => {
  const { session, opened, received, drawn, canvas, socket } = opening();
  socket.receive({ type: "session", id: "abc" });
  await opened;
  socket.receive({ type: "frame", picture: 7, view_seq: 3 });
  socket.receive(new Blob(["jpeg"]));
  await settled();
  const { rtp_timestamp, view_seq } = received[1];
  assert.deepEqual([rtp_timestamp, view_seq], [7, 3]);
  assert.deepEqual(drawn, [7]);
  assert.deepEqual([canvas.width, canvas.height], [64, 64]);
  assert.deepEqual(socket.sent, ['{"type":"shown","picture":7}']);
  assert.deepEqual(await session.received(), { bytes: 4, frames: 1 });
  session.close();
});

test("messages that are no events are ignored", async () => {
  const { session, opened, received, socket } = opening();
  socket.receive({ type: "session", id: "abc" });
  await opened;
  socket.onmessage({ data: "{" });
  socket.receive({ type: "weather" });
  assert.deepEqual(received, ["ready"]);
  session.close();
});

test("an image that cannot be decoded is acknowledged too, so that the next one is sent", async () => {
  globalThis.createImageBitmap = async () => Promise.reject(new Error("broken"));
  const { session, opened, drawn, socket } = opening();
  socket.receive({ type: "session", id: "abc" });
  await opened;
  socket.receive({ type: "frame", picture: 1 });
  socket.receive(new Blob(["?"]));
  await settled();
  assert.deepEqual([drawn, socket.sent.length], [[], 1]);
  session.close();
});

test("the close code gives the reason of a rejection", async () => {
  const refused = async (code) => {
    const { opened, socket } = opening();
    socket.onclose({ code, reason: "why" });
    return opened.then(assert.fail, ({ kind, detail, queue }) => [kind, detail, queue?.href]);
  };
  const queue = "https://server.test/v1/streams/demo/queue";
  assert.deepEqual(await refused(4404), ["unknown-stream", "why", undefined]);
  assert.deepEqual(await refused(4503), ["full", "why", queue]);
  assert.deepEqual(await refused(4401), ["refused", "why", undefined]);
  assert.deepEqual(await refused(1006), ["unreachable", "why", undefined]);
});

test("an open session that closes is lost; nothing is sent to a slow or closed socket", async () => {
  const { session, opened, socket } = opening();
  socket.receive({ type: "session", id: "abc" });
  await opened;
  assert.equal(session.send("a"), true);
  socket.bufferedAmount = 70_000;
  assert.equal(session.send("b"), false);
  socket.bufferedAmount = 0;
  socket.readyState = 3;
  assert.equal(session.send("c"), false);
  socket.onclose({ code: 1006, reason: "" });
  assert.equal((await session.ended).kind, "lost");
  session.close();
});

test("an open session is closed with 4401 when its token expires", async () => {
  const { session, opened, socket } = opening();
  socket.receive({ type: "session", id: "abc" });
  await opened;
  socket.onclose({ code: 4401, reason: "the token has expired" });
  const { kind, detail } = await session.ended;
  assert.deepEqual([kind, detail], ["expired", "the token has expired"]);
  session.close();
});

test("a browser without WebSocket is not supported", () => {
  delete globalThis.WebSocket;
  assert.throws(() => new JpegSession({}, {}), { kind: "unsupported" });
});
