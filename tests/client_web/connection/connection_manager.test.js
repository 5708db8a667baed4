import assert from "node:assert/strict";
import { test } from "node:test";

import { Trouble } from "../../../client_web/js/connection/trouble.js";
import { Viewer } from "../../../client_web/js/connection/connection_manager.js";

/** A session that does as it is told. */
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

/** A line whose turn comes when the test says so. */
class FakeLine {
  ticket = null;
  left = false;

  async wait(queue, onTurn) {
    this.ticket ??= `ticket of ${queue}`;
    onTurn({ ticket: this.ticket, place: 2, waiting: 5, ask_after_s: 1 });
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
function watch(open = async () => {}) {
  const line = new FakeLine();
  const made = [];
  const said = [];
  const make = (session) => made.push(session) && session;
  const viewer = new Viewer(
    {
      webrtc: (events) => make(new FakeSession("webrtc", events)),
      pictures: () => make(new FakeSession("pictures")),
      open,
      line,
      onState: ({ state, trouble, turn }) =>
        said.push(trouble ? `${state}: ${trouble.kind}` : turn ? `${state}: ${turn.place}` : state),
      onWay: (way) => said.push(way),
    },
    {
      onVideo: (stream) => said.push(stream),
      onEvent: () => {},
      onReady: () => said.push("ready"),
      watched: () => true,
    },
  );
  viewer.run();
  return { viewer, made, said, line };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** @param {() => boolean | undefined} fact waits until it holds */
async function until(fact) {
  while (!fact()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test("where WebRTC is blocked pictures come at once", async () => {
  const { viewer, made, said } = watch();
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  assert.deepEqual(said, ["connecting", "webrtc", "pictures"]);
  assert.equal(made[0].closed, true);
  assert.equal(viewer.session, made[1]);
  viewer.close();
});

test("what else ends a session is waited out", async () => {
  const { viewer, made, said } = watch();
  await settled();
  made[0].end(new Trouble("stalled"));
  await settled();
  assert.deepEqual(said, ["connecting", "webrtc", "waiting: stalled"]);
  viewer.close();
});

test("video takes over from pictures once it gets through, and is not heard before", async () => {
  const { viewer, made, said } = watch();
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  viewer.retryNow();
  await settled();
  made[2].events.onVideo("the stream");
  made[2].events.onReady();
  await settled();
  assert.deepEqual(said.slice(3), []);
  assert.equal(viewer.session, made[1]);
  made[2].connect();
  await settled();
  assert.deepEqual(said.slice(3), ["webrtc", "the stream", "ready"]);
  assert.equal(viewer.session, made[2]);
  assert.equal(made[1].closed, true);
  assert.equal(made[2].closed, false);
  viewer.close();
});

test("a search for video that fails leaves the pictures alone", async () => {
  const { viewer, made } = watch();
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  viewer.retryNow();
  await settled();
  made[2].end(new Trouble("blocked"));
  await settled();
  assert.equal(made[2].closed, true);
  assert.equal(viewer.session, made[1]);
  viewer.close();
});

test("where pictures cannot come either, the first trouble is told", async () => {
  const { viewer, made, said } = watch(async ({ kind }) => {
    if (kind === "pictures") throw new Trouble("unreachable");
  });
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  assert.deepEqual(said.at(-1), "waiting: blocked");
  viewer.close();
});

test("a full server is said to be full, whichever way was tried", async () => {
  const { viewer, made, said } = watch(async ({ kind }) => {
    if (kind === "pictures") throw new Trouble("full", { retry_after_s: 5 });
  });
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  assert.deepEqual(said.at(-1), "waiting: full");
  viewer.close();
});

test("where a full server has a line, it waits there and comes in with its ticket", async () => {
  const tickets = [];
  const { viewer, made, said, line } = watch(async (_, signal, ticket) => {
    tickets.push(ticket);
    if (!ticket) throw new Trouble("full", { queue: "Q" });
  });
  await settled();
  assert.deepEqual(said, ["connecting", "webrtc", "in-line: 2"]);
  assert.equal(made[0].closed, true);
  line.call();
  await settled();
  assert.deepEqual(tickets, [null, "ticket of Q"]);
  viewer.pictureShown();
  assert.equal(said.at(-1), "live");
  assert.equal(line.ticket, null);
  viewer.close();
  assert.equal(line.left, true);
});

test("a line that takes nobody is told like any trouble", async () => {
  const { viewer, said, line } = watch(async () => {
    throw new Trouble("full", { queue: "Q" });
  });
  await settled();
  line.refuse(new Trouble("ending"));
  await settled();
  assert.equal(said.at(-1), "waiting: ending");
  viewer.close();
});

test("pictures that find no place wait for one and are not tried by WebRTC again", async () => {
  const { viewer, made, line } = watch(async ({ kind }, signal, ticket) => {
    if (kind === "pictures" && !ticket) throw new Trouble("full", { queue: "Q" });
  });
  await settled();
  made[0].end(new Trouble("blocked"));
  await settled();
  line.call();
  await settled();
  assert.deepEqual(
    made.map(({ kind }) => kind),
    ["webrtc", "pictures", "pictures"],
  );
  assert.equal(viewer.session, made[2]);
  viewer.close();
});

test("when its server ends, it goes on with another one as soon as that one shows something", async () => {
  const { viewer, made, said } = watch();
  await settled();
  viewer.pictureShown();
  viewer.serverEnds();
  await until(() => made.length === 2);
  assert.equal(viewer.session, made[0]);
  made[1].events.onVideo("the other stream");
  made[1].connect();
  await settled();
  assert.equal(viewer.session, made[1]);
  assert.equal(made[0].closed, true);
  assert.deepEqual(said.slice(-5), ["live", "connecting", "webrtc", "the other stream", "ready"]);
  viewer.close();
});

test("when its server ends and there is no other, it stays to the end", async () => {
  let ending = false;
  const { viewer, made, said } = watch(async () => {
    if (ending) throw new Trouble("ending");
  });
  await settled();
  ending = true;
  viewer.serverEnds();
  await until(() => made[1]?.closed);
  assert.equal(viewer.session, made[0]);
  made[0].end(new Trouble("lost"));
  await settled();
  assert.equal(said.at(-1), "waiting: lost");
  viewer.close();
});
