import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { WhipSession } from "../../../client_web/js/connection/whip_session.js";
import { settled } from "../fakes.js";

const ENDPOINT = new URL("http://server.test/v1/streams/me/whip");
const CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";

/** The connections that were created, newest last. */
const connections = [];
const requests = [];
let answer = () =>
  new Response("the answer", { status: 201, headers: { Location: "/v1/publications/abc" } });

class FakeSender {
  track = null;
  parameters = { encodings: [{}] };
  getParameters = () => structuredClone(this.parameters);
  setParameters = async (parameters) => {
    this.parameters = parameters;
  };
  replaceTrack = async (track) => {
    this.track = track;
  };
  getStats = async () => new Map([["a", { type: "outbound-rtp", bytesSent: 4200 }]]);
}

class FakeConnection extends EventTarget {
  connectionState = "new";
  sender = new FakeSender();
  extensions = [{ uri: CAPTURE_TIME, direction: "stopped" }];
  channel = { label: "", readyState: "connecting", bufferedAmount: 0, sent: [] };
  closed = false;

  constructor() {
    super();
    connections.push(this);
  }

  addTransceiver(track, { direction }) {
    this.sender.track = track;
    this.direction = direction;
    return {
      sender: this.sender,
      getHeaderExtensionsToNegotiate: () => structuredClone(this.extensions),
      setHeaderExtensionsToNegotiate: (extensions) => {
        this.extensions = extensions;
      },
    };
  }

  createDataChannel(label, options) {
    return Object.assign(this.channel, {
      label,
      options,
      send: (text) => this.channel.sent.push(text),
    });
  }

  createOffer = async () => ({ type: "offer", sdp: "the offer" });
  setLocalDescription = async () => {};
  setRemoteDescription = async () => {};

  close() {
    this.closed = true;
  }

  opened() {
    this.channel.readyState = "open";
    this.channel.onopen();
  }

  become(state) {
    this.connectionState = state;
    this.onconnectionstatechange();
  }
}

const real = { fetch: globalThis.fetch, RTCPeerConnection: globalThis.RTCPeerConnection };

beforeEach(() => {
  connections.length = requests.length = 0;
  globalThis.RTCPeerConnection = FakeConnection;
  globalThis.fetch = async (url, options) => {
    requests.push(`${options.method} ${url}`);
    return options.method === "POST" ? answer() : new Response(null, { status: 204 });
  };
});
afterEach(() => Object.assign(globalThis, real));

function session(voice = { kind: "audio" }) {
  const events = { ended: [], refused: [] };
  const opened = new WhipSession(voice, {
    onEnd: (trouble) => events.ended.push(trouble.kind),
    onRefused: (detail) => events.refused.push(detail),
  });
  return { opened, events, pc: connections.at(-1) };
}

/** A session with a connected channel. */
async function connected() {
  const parts = session();
  const opening = parts.opened.open(ENDPOINT);
  await settled();
  parts.pc.opened();
  await opening;
  return parts;
}

test("the voice is offered with capture times and a bounded bitrate, the mesh channel is unreliable", async () => {
  const { opened, pc } = await connected();
  assert.equal(pc.direction, "sendonly");
  assert.deepEqual(pc.extensions, [{ uri: CAPTURE_TIME, direction: "sendrecv" }]);
  assert.deepEqual(pc.sender.parameters.encodings, [{ maxBitrate: 32_000 }]);
  assert.equal(pc.channel.label, "mesh");
  assert.deepEqual(pc.channel.options, { ordered: false, maxRetransmits: 0 });
  assert.equal(await opened.voiceBytes(), 4200);
  opened.close();
  assert.deepEqual(requests, [
    "POST http://server.test/v1/streams/me/whip",
    "DELETE http://server.test/v1/publications/abc",
  ]);
});

test("a frame is sent at once or dropped, and a rejected one is reported", async () => {
  const { opened, pc, events } = await connected();
  assert.equal(opened.send("now"), true);
  pc.channel.bufferedAmount = 5000;
  assert.equal(opened.send("never"), false);
  assert.deepEqual(pc.channel.sent, ["now"]);
  pc.channel.onmessage({ data: '{"type":"error","detail":"expected a number"}' });
  assert.deepEqual(events.refused, ["expected a number"]);
});

test("another microphone replaces the track without a new connection", async () => {
  const { opened, pc } = await connected();
  const other = { kind: "audio" };
  await opened.useVoice(other);
  assert.equal(pc.sender.track, other);
  await opened.useVoice(null);
  assert.equal(pc.sender.track, null);
  assert.equal(connections.length, 1);
});

test("if WebRTC is blocked, opening times out and the publication is deleted", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { opened, pc, events } = session();
    const opening = opened.open(ENDPOINT);
    for (let i = 0; i < 4; i++) await settled();
    mock.timers.tick(5000);
    await assert.rejects(opening, { kind: "blocked" });
    assert.equal(pc.closed, true);
    assert.equal(requests.at(-1), "DELETE http://server.test/v1/publications/abc");
    assert.deepEqual(events.ended, []);
  } finally {
    mock.timers.reset();
  }
});

test("a rejection by the server is the trouble", async () => {
  const before = answer;
  answer = () => Response.json({ detail: "taken" }, { status: 409 });
  try {
    const { opened, pc } = session();
    await assert.rejects(opened.open(ENDPOINT), { kind: "refused", status: 409, detail: "taken" });
    assert.equal(pc.closed, true);
  } finally {
    answer = before;
  }
});

test("an end by the server, a failure and a long interruption are reported once", async () => {
  for (const end of [
    (pc) => pc.channel.onclose(),
    (pc) => pc.become("failed"),
    (pc) => {
      pc.become("disconnected");
      mock.timers.tick(4000);
    },
  ]) {
    const { pc, events } = await connected();
    mock.timers.enable({ apis: ["setTimeout"] });
    end(pc);
    pc.channel.onclose();
    mock.timers.reset();
    assert.deepEqual(events.ended, ["lost"]);
    assert.equal(pc.closed, true);
  }
});

test("a short interruption is not reported", async () => {
  const { pc, events } = await connected();
  mock.timers.enable({ apis: ["setTimeout"] });
  pc.become("disconnected");
  mock.timers.tick(3000);
  pc.become("connected");
  mock.timers.tick(9000);
  mock.timers.reset();
  assert.deepEqual(events.ended, []);
});

test("a browser without WebRTC has its own trouble", () => {
  globalThis.RTCPeerConnection = undefined;
  assert.throws(() => new WhipSession(null, {}), { kind: "unsupported" });
});
