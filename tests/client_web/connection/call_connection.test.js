// The connection to a call: joining, reconnecting to the same seat, and ending.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { CallConnection } from "../../../client_web/js/connection/call_connection.js";
import { findCall } from "../../../client_web/js/connection/call_host.js";
import { callLink } from "../../../client_web/js/panels/call_bar.js";
import { describeCallTrouble, describePeople } from "../../../client_web/js/panels/call_texts.js";
import { settled } from "../fakes.js";

const BASE = new URL("https://a.example/telewarp/");
const SEAT = { type: "joined", seat: 2, seats: 4, stream: "us:x", resume: "secret" };

/** The server's end of a WebSocket. */
class FakeSocket {
  static made = [];
  readyState = 1;
  sent = [];

  constructor(address, protocols) {
    this.address = String(address);
    this.protocols = protocols;
    FakeSocket.made.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code = 1005, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  receive(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  /** Open it and grant a seat. */
  seat(seat = SEAT) {
    this.onopen();
    this.receive(seat);
  }
}

class FakeStorage {
  items = new Map();
  getItem = (key) => this.items.get(key) ?? null;
  setItem = (key, value) => void this.items.set(key, value);
  removeItem = (key) => void this.items.delete(key);
}

const original = { WebSocket: globalThis.WebSocket, fetch: globalThis.fetch };
/** The response to a request for the call. */
let answer;
beforeEach(() => {
  FakeSocket.made = [];
  answer = (url) => found(url);
  globalThis.WebSocket = FakeSocket;
  globalThis.fetch = async (url) => answer(url);
  mock.timers.enable({ apis: ["setTimeout"] });
});
afterEach(() => {
  Object.assign(globalThis, original);
  mock.timers.reset();
});

/** A response to the request for the host of a call. */
function found(url, people = [], headers = {}) {
  const response = Response.json({ people }, { headers });
  Object.defineProperty(response, "url", { value: String(url) });
  return response;
}

/** Wait until a socket is opened, after the request for the host of the call. */
async function opened() {
  for (let i = 0; i < 4; i++) await settled();
  return FakeSocket.made.at(-1);
}

function calling(storage = new FakeStorage()) {
  const received = [];
  const connection = new CallConnection(
    BASE,
    "us",
    {
      onSeat: ({ seat }) => received.push(["seat", seat]),
      onRoster: (people) => received.push(["roster", people.length]),
      onLost: ({ kind }) => received.push(["lost", kind]),
      onEnd: ({ status }) => received.push(["end", status]),
    },
    storage,
  );
  return { connection, received, storage };
}

const self = { name: "Ada", avatar: "default" };

/** Join, and return the socket of the first seat. */
async function join(connection) {
  const joined = connection.join(self);
  const socket = await opened();
  socket.seat();
  await joined;
  return socket;
}

test("a seat is requested with name and avatar, and the roster is received", async () => {
  const { connection, received, storage } = calling();
  const socket = await join(connection);
  assert.equal(socket.address, "wss://a.example/telewarp/v1/calls/us");
  assert.deepEqual(socket.sent, [{ type: "join", name: "Ada", avatar: "default" }]);
  socket.receive({ type: "roster", people: [{}, {}] });
  assert.deepEqual(received, [
    ["seat", 2],
    ["roster", 2],
  ]);
  assert.equal(storage.getItem("telewarp.call.us"), "secret");
});

test("a lost connection is reopened with the secret and sends its state again", async () => {
  const { connection, received } = calling();
  const socket = await join(connection);
  connection.update({ muted: true });
  connection.update({ directions: [] });
  socket.close(1006);
  mock.timers.tick(1000);
  (await opened()).seat();
  assert.deepEqual(FakeSocket.made[1].sent, [
    { type: "join", name: "Ada", avatar: "default", resume: "secret" },
    { type: "state", muted: true, directions: [] },
  ]);
  assert.deepEqual(received.slice(1), [
    ["lost", "unreachable"],
    ["seat", 2],
  ]);
});

test("joining is retried while the server does not respond, and ends when it rejects", async () => {
  const { connection, received } = calling();
  (await join(connection)).close(1006);
  for (const code of [1006, 1006, 4409]) {
    mock.timers.tick(20_000);
    (await opened()).close(code, "full");
    await settled();
  }
  assert.deepEqual(
    received.slice(1).map(([what]) => what),
    ["lost", "lost", "lost", "end"],
  );
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.made.length, 4);
});

test("a rejected join throws its status and message", async () => {
  const { connection } = calling();
  const joined = connection.join(self);
  (await opened()).close(4409, "it is full");
  await assert.rejects(joined, { kind: "refused", status: 409, detail: "it is full" });
  const again = connection.join(self);
  (await opened()).close(4403, "no scope");
  await assert.rejects(again, { kind: "sign-in" });
});

test("leaving releases the seat and deletes the secret; closing keeps both", async () => {
  const left = calling();
  const socket = await join(left.connection);
  left.connection.leave();
  left.connection.leave();
  assert.deepEqual(socket.sent.at(-1), { type: "leave" });
  assert.equal(socket.sent.length, 2);
  assert.equal(left.storage.getItem("telewarp.call.us"), null);
  const closed = calling();
  await join(closed.connection);
  closed.connection.close();
  assert.equal(closed.storage.getItem("telewarp.call.us"), "secret");
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.made.length, 2);
  assert.deepEqual(closed.received, [["seat", 2]]);
});

test("behind a router the seat is requested on the host of the call, with its token", async () => {
  const host = "https://gpu7.example:8100";
  answer = () => found(`${host}/v1/calls/us?pass=once`, [], { "Telewarp-Token": "given" });
  const seats = [];
  const events = { onSeat: (seat) => seats.push(seat), onLost() {}, onRoster() {}, onEnd() {} };
  const connection = new CallConnection(BASE, "us", events, null);
  const socket = await join(connection);
  assert.equal(socket.address, "wss://gpu7.example:8100/v1/calls/us");
  assert.deepEqual(socket.protocols, ["telewarp", "telewarp.token.given"]);
  assert.equal(String(seats[0].host), `${host}/`);
  // The host disconnects: the router is asked again.
  answer = () => found("https://gpu8.example:8100/v1/calls/us?pass=other");
  socket.close(1006);
  mock.timers.tick(1000);
  assert.equal((await opened()).address, "wss://gpu8.example:8100/v1/calls/us");
  FakeSocket.made[1].seat();
  assert.equal(String(seats[1].host), "https://gpu8.example:8100/");
});

test("a rate-limited join is retried later; an insufficient token ends it", async () => {
  const { connection, received } = calling();
  const socket = await join(connection);
  const headers = { "Retry-After": "1" };
  answer = () => Response.json({ detail: "too many" }, { status: 429, headers });
  socket.close(1006);
  mock.timers.tick(1000);
  await opened();
  answer = () => Response.json({ detail: "expired" }, { status: 403 });
  mock.timers.tick(20_000);
  await opened();
  assert.deepEqual(received.slice(1), [
    ["lost", "unreachable"],
    ["lost", "refused"],
    ["end", 403],
  ]);
  mock.timers.tick(60_000);
  await opened();
  assert.equal(FakeSocket.made.length, 1);
});

test("a call and its participants are requested below the path of the server", async () => {
  const fetch = async (url) => found(url, [{ name: "Ada" }]);
  const { host, address, people } = await findCall(BASE, "us", fetch);
  assert.equal(String(host), String(BASE));
  assert.equal(String(address), "https://a.example/telewarp/v1/calls/us");
  assert.deepEqual(people, [{ name: "Ada" }]);
  const down = async () => Promise.reject(new TypeError("refused"));
  await assert.rejects(findCall(BASE, "us", down), { kind: "unreachable" });
});

test("the participants are described in words", () => {
  const named = (...names) => describePeople(names.map((name) => ({ name })));
  assert.equal(named(), "Nobody is here yet.");
  assert.equal(named("Ada"), "Ada is here.");
  assert.equal(named("Ada", "Bo", "Cy"), "Ada, Bo and Cy are here.");
});

test("troubles are described in words, and the link contains no token", () => {
  const full = describeCallTrouble({ kind: "refused", status: 409, detail: "it is full" }, "us");
  assert.deepEqual(full, { title: "There is no free seat", detail: "It is full." });
  const token = describeCallTrouble({ kind: "sign-in", status: 401, detail: "" }, "us");
  assert.match(token.command, /--scope publish --scope view --stream us/);
  assert.equal(
    callLink("https://a.example/t/?call=us&x=1#token=secret", "us"),
    "https://a.example/t/?call=us",
  );
});
