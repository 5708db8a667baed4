import assert from "node:assert/strict";
import { test } from "node:test";

import { Trouble } from "../../client_web/js/trouble.js";
import { Viewer } from "../../client_web/js/viewer.js";

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

/** @param {(session: FakeSession) => Promise<void>} open */
function watch(open = async () => {}) {
  const made = [];
  const said = [];
  const make = (session) => made.push(session) && session;
  const viewer = new Viewer(
    {
      webrtc: (events) => make(new FakeSession("webrtc", events)),
      pictures: () => make(new FakeSession("pictures")),
      open,
      onState: ({ state, trouble }) => said.push(trouble ? `${state}: ${trouble.kind}` : state),
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
  return { viewer, made, said };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

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
