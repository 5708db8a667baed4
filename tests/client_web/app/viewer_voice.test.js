import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { ViewerVoice } from "../../../client_web/js/app/viewer_voice.js";
import { FakeDocument, FakeElement, settled } from "../fakes.js";

const EVERY_MS = 100; // the voice is measured

let life;
let clock;
beforeEach(() => {
  life = new AbortController();
  clock = { now_ms: 10_000 };
  globalThis.MediaStream = class {
    constructor(tracks) {
      this.tracks = tracks;
    }
  };
  mock.timers.enable({ apis: ["setInterval"] });
});
afterEach(() => {
  life.abort();
  mock.timers.reset();
  delete globalThis.MediaStream;
});

/** What a browser knows of a voice that takes `path_ms` from its capture until it is heard. */
class FakeReceiver {
  track = "the voice";
  jitterBufferTarget = null;
  arrives = true;
  path_ms = 100;
  #packets = 0;

  async getStats() {
    if (this.arrives) this.#packets += 5;
    return new Map([
      ["a", { type: "inbound-rtp", packetsReceived: this.#packets, audioLevel: 0.5 }],
    ]);
  }

  getSynchronizationSources() {
    // The server's clock starts with the page's. What is heard is assumed 5 ms behind the reported time.
    const captured_ms = clock.now_ms - this.path_ms;
    const timestamp = performance.timeOrigin + clock.now_ms + 5;
    return [{ rtpTimestamp: captured_ms * 48, timestamp }];
  }
}

function viewer() {
  const page = new FakeDocument();
  const audio = Object.assign(new FakeElement(), { play: async () => {}, pause: () => {} });
  page.createElement = () => audio;
  const controls = { state: "silent", level: 0, offset: null };
  const voice = new ViewerVoice(page, life.signal, () => clock.now_ms, { controls, storage: null });
  return { voice, controls, audio };
}

/** Measure the voice for a while, with a face at each measurement if `face_ms` is given: the time from its capture until it is shown. */
async function listen(voice, duration_ms, face_ms = null) {
  for (let passed_ms = 0; passed_ms < duration_ms; passed_ms += EVERY_MS) {
    clock.now_ms += EVERY_MS;
    if (face_ms !== null) voice.faceShown(clock.now_ms - face_ms, clock.now_ms);
    mock.timers.tick(EVERY_MS);
    await settled();
  }
}

test("a voice that is heard before the lips move is held back by the difference", async () => {
  const { voice, controls } = viewer();
  const receiver = new FakeReceiver();
  voice.receive(receiver);
  voice.clockReceived({ rtp_timestamp: 0, captured_at_ms: 0 });
  await listen(voice, 1500, 150);
  assert.equal(receiver.jitterBufferTarget, 50);
  assert.equal(Math.round(controls.offset.p50), -50);
});

test("a voice that is heard after the lips move is not held back", async () => {
  const { voice } = viewer();
  const receiver = Object.assign(new FakeReceiver(), { path_ms: 300 });
  voice.receive(receiver);
  voice.clockReceived({ rtp_timestamp: 0, captured_at_ms: 0 });
  await listen(voice, 1500, 150);
  assert.equal(receiver.jitterBufferTarget, 0);
});

test("a browser that cannot hold a voice back plays it as it comes", async () => {
  const { voice } = viewer();
  const receiver = new FakeReceiver();
  delete receiver.jitterBufferTarget;
  voice.receive(receiver);
  voice.clockReceived({ rtp_timestamp: 0, captured_at_ms: 0 });
  await listen(voice, 1500, 150);
  assert.equal("jitterBufferTarget" in receiver, false);
  assert.equal(Math.round(voice.stats.offset_ms.p50), -50, "measured all the same");
});

test("a stream has a voice from its first packet until 3 s after its last one", async () => {
  const { voice, controls } = viewer();
  const receiver = Object.assign(new FakeReceiver(), { arrives: false });
  voice.receive(receiver);
  await listen(voice, 500);
  assert.equal(controls.state, "silent");
  receiver.arrives = true;
  await listen(voice, 200);
  assert.equal(controls.state, "playing");
  receiver.arrives = false;
  await listen(voice, 2900);
  assert.equal(controls.state, "playing", "pauses send a packet every 0.4 s");
  await listen(voice, 200);
  assert.equal(controls.state, "silent");
});

test("another session plays its own voice, and forgets the offsets of the one before", async () => {
  const { voice, audio } = viewer();
  voice.receive(new FakeReceiver());
  voice.clockReceived({ rtp_timestamp: 0, captured_at_ms: 0 });
  await listen(voice, 1500, 150);
  const next = Object.assign(new FakeReceiver(), { track: "another voice" });
  voice.receive(next);
  assert.deepEqual(audio.srcObject.tracks, ["another voice"]);
  assert.deepEqual(voice.stats.offset_ms, { p50: null, p95: null, count: 0 });
});

test("the end of the page ends the measurements", async () => {
  const { voice } = viewer();
  const receiver = new FakeReceiver();
  voice.receive(receiver);
  let asked = 0;
  receiver.getStats = async () => {
    asked += 1;
    return new Map();
  };
  life.abort();
  await listen(voice, 500);
  assert.equal(asked, 0);
});
