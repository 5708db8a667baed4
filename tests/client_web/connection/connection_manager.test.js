import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionManager } from "../../../client_web/js/connection/connection_manager.js";
import { Trouble } from "../../../client_web/js/connection/trouble.js";

/** A session that the test controls. */
class FakeSession {
  closed = false;
  ended = new Promise((resolve) => (this.end = resolve));
  connected = new Promise((resolve) => (this.connect = resolve));

  constructor(kind, events = null) {
    this.kind = kind;
    this.events = events;
  }

  close() {
    this.closed = true;
    this.end(new Trouble("lost"));
  }
}

/** A queue whose admission the test controls. */
class FakeQueue {
  ticket = null;
  left = false;

  async wait(queue, onStatus) {
    this.ticket ??= `ticket of ${queue}`;
    onStatus({ ticket: this.ticket, place: 2, waiting: 5, ask_after_s: 1 });
    await new Promise((resolve, reject) => Object.assign(this, { call: resolve, refuse: reject }));
  }

  forget() {
    this.ticket = null;
  }

  leave() {
    this.left = true;
  }
}

/** @param {(session: FakeSession, signal: AbortSignal, ticket: string | null) => Promise<void>} open */
function startManager(open = async () => {}) {
  const queue = new FakeQueue();
  const made = [];
  const reported = [];
  const make = (session) => made.push(session) && session;
  const manager = new ConnectionManager(
    {
      webrtc: (events) => make(new FakeSession("webrtc", events)),
      jpeg: () => make(new FakeSession("jpeg")),
      open,
      queue,
      onState: ({ state, trouble, queue: status }) => {
        if (trouble) reported.push(`${state}: ${trouble.kind}`);
        else reported.push(status ? `${state}: ${status.place}` : state);
      },
      onDelivery: (delivery) => reported.push(delivery),
    },
    {
      onVideo: (stream) => reported.push(stream),
      onEvent: () => {},
      onReady: () => reported.push("ready"),
      isVisible: () => true,
    },
  );
  manager.run();
  return { manager, made, reported, queue };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** @param {() => boolean | undefined} fact wait until it is true */
async function until(fact) {
  while (!fact()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test("if WebRTC is blocked the JPEG fallback starts at once", async () => {
  const { manager, made, reported } = startManager();
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  assert.deepEqual(reported, ["connecting", "webrtc", "jpeg"]);
  assert.equal(made[0].closed, true);
  assert.equal(manager.session, made[1]);
  manager.close();
});

test("after any other trouble it waits before it retries", async () => {
  const { manager, made, reported } = startManager();
  await settled();
  made[0].end(new Trouble("stalled"));
  await settled();
  assert.deepEqual(reported, ["connecting", "webrtc", "waiting: stalled"]);
  manager.close();
});

test("after an expired token it reconnects at once, so that the server can give the reason", async () => {
  const { manager, made, reported } = startManager();
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  made[1].end(new Trouble("expired"));
  await until(() => made[2]);
  assert.deepEqual(reported.slice(3), ["waiting: expired", "connecting", "webrtc"]);
  assert.equal(made[2].kind, "webrtc");
  manager.close();
});

test("video replaces the JPEG fallback once it connects, and its events are buffered until then", async () => {
  const { manager, made, reported } = startManager();
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  manager.retryNow();
  await settled();
  made[2].events.onVideo("the stream");
  made[2].events.onReady();
  await settled();
  assert.deepEqual(reported.slice(3), []);
  assert.equal(manager.session, made[1]);
  made[2].connect();
  await settled();
  assert.deepEqual(reported.slice(3), ["webrtc", "the stream", "ready"]);
  assert.equal(manager.session, made[2]);
  assert.equal(made[1].closed, true);
  assert.equal(made[2].closed, false);
  manager.close();
});

test("a failed WebRTC attempt leaves the JPEG fallback running", async () => {
  const { manager, made } = startManager();
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  manager.retryNow();
  await settled();
  made[2].end(new Trouble("blocked"));
  await settled();
  assert.equal(made[2].closed, true);
  assert.equal(manager.session, made[1]);
  manager.close();
});

test("if the JPEG fallback fails too, the first trouble is reported", async () => {
  const { manager, made, reported } = startManager(async ({ kind }) => {
    if (kind === "jpeg") throw new Trouble("unreachable");
  });
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  assert.deepEqual(reported.at(-1), "waiting: blocked");
  manager.close();
});

test("a full server is reported as full by either delivery", async () => {
  const { manager, made, reported } = startManager(async ({ kind }) => {
    if (kind === "jpeg") throw new Trouble("full", { retry_after_s: 5 });
  });
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  assert.deepEqual(reported.at(-1), "waiting: full");
  manager.close();
});

test("at a full server it waits in the queue and connects with its ticket", async () => {
  const tickets = [];
  const { manager, made, reported, queue } = startManager(async (_, _signal, ticket) => {
    tickets.push(ticket);
    if (!ticket) throw new Trouble("full", { queue: "Q" });
  });
  await settled();
  assert.deepEqual(reported, ["connecting", "webrtc", "queued: 2"]);
  assert.equal(made[0].closed, true);
  queue.call();
  await settled();
  assert.deepEqual(tickets, [null, "ticket of Q"]);
  manager.frameDisplayed();
  assert.equal(reported.at(-1), "live");
  assert.equal(queue.ticket, null);
  manager.close();
  assert.equal(queue.left, true);
});

test("a queue that rejects is reported like any other trouble", async () => {
  const { manager, reported, queue } = startManager(async () => {
    throw new Trouble("full", { queue: "Q" });
  });
  await settled();
  queue.refuse(new Trouble("ending"));
  await settled();
  assert.equal(reported.at(-1), "waiting: ending");
  manager.close();
});

test("a queued JPEG session does not try WebRTC again", async () => {
  const { manager, made, queue } = startManager(async ({ kind }, _signal, ticket) => {
    if (kind === "jpeg" && !ticket) throw new Trouble("full", { queue: "Q" });
  });
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  queue.call();
  await settled();
  assert.deepEqual(
    made.map(({ kind }) => kind),
    ["webrtc", "jpeg", "jpeg"],
  );
  assert.equal(manager.session, made[2]);
  manager.close();
});

test("while its server drains it moves to another server once that one connects", async () => {
  const { manager, made, reported } = startManager();
  await settled();
  manager.frameDisplayed();
  manager.serverDrains();
  await until(() => made.length === 2);
  assert.equal(manager.session, made[0]);
  made[1].events.onVideo("the other stream");
  made[1].connect();
  await settled();
  assert.equal(manager.session, made[1]);
  assert.equal(made[0].closed, true);
  assert.deepEqual(reported.slice(-5), [
    "live",
    "connecting",
    "webrtc",
    "the other stream",
    "ready",
  ]);
  manager.close();
});

test("while its server drains and no other is reachable, it stays connected until the end", async () => {
  let ending = false;
  const { manager, made, reported } = startManager(async () => {
    if (ending) throw new Trouble("ending");
  });
  await settled();
  ending = true;
  manager.serverDrains();
  await until(() => made[1]?.closed);
  assert.equal(manager.session, made[0]);
  made[0].end(new Trouble("lost"));
  await settled();
  assert.equal(reported.at(-1), "waiting: lost");
  manager.close();
});
