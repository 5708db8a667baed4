// The timeouts after which a WebRTC session is given up.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { access } from "../../../client_web/js/connection/access.js";
import { WebRtcSession } from "../../../client_web/js/connection/webrtc_session.js";
import { settled } from "../fakes.js";

const ENDPOINT = new URL("http://a.example/v1/streams/me/whep");

/** A connected peer with reports that the test sets. */
class FakePeer {
  connectionState = "connected";
  report = { type: "inbound-rtp", kind: "video", bytesReceived: 0, framesDecoded: 0 };
  addTransceiver = () => ({ receiver: {} });
  createDataChannel = () => ({});
  createOffer = async () => ({ sdp: "" });
  setLocalDescription = async () => {};
  setRemoteDescription = async () => {};
  getStats = async () => new Map([["video", this.report]]);
  close = () => {
    this.connectionState = "closed";
  };
}

const originals = { RTCPeerConnection: globalThis.RTCPeerConnection, fetch: access.fetch };
let now_ms = 0;
let peer;

beforeEach(() => {
  globalThis.RTCPeerConnection = class extends FakePeer {
    constructor() {
      super();
      peer = this;
    }
  };
  access.fetch = async () =>
    new Response("", { status: 201, headers: { Location: "/v1/sessions/x" } });
  now_ms = 0;
  mock.method(performance, "now", () => now_ms);
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
  Object.assign(globalThis, { RTCPeerConnection: originals.RTCPeerConnection });
  access.fetch = originals.fetch;
});

/** Open a session whose trouble is recorded. */
async function opened() {
  const session = new WebRtcSession({
    onVideo: () => {},
    onEvent: () => {},
    onReady: () => {},
    isVisible: () => true,
  });
  const seen = { trouble: null };
  session.ended.then(({ kind }) => {
    seen.trouble = kind;
  });
  await session.open(ENDPOINT, new AbortController().signal);
  peer.onconnectionstatechange();
  return seen;
}

/** Advance the timers in steps of the checks. */
async function pass(seconds, each = () => {}) {
  for (let step = 0; step < seconds * 2; step++) {
    now_ms += 500;
    each();
    mock.timers.tick(500);
    await settled();
  }
}

test("a busy server has 25 seconds for the first frame", async () => {
  const seen = await opened();
  await pass(24);
  assert.equal(seen.trouble, null);
  await pass(2);
  assert.equal(seen.trouble, "stalled");
});

test("data that is not decoded for six seconds is undecodable, counted from the first data", async () => {
  const seen = await opened();
  const arrive = () => {
    peer.report.bytesReceived += 1000;
  };
  await pass(10);
  await pass(5.5, arrive);
  assert.equal(seen.trouble, null);
  await pass(1.5, arrive);
  assert.equal(seen.trouble, "undecodable");
});

test("a video that stops for three seconds is stalled", async () => {
  const seen = await opened();
  await pass(2, () => {
    peer.report.bytesReceived += 1000;
    peer.report.framesDecoded += 1;
  });
  await pass(2.5);
  assert.equal(seen.trouble, null);
  await pass(1);
  assert.equal(seen.trouble, "stalled");
});
