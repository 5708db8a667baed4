import assert from "node:assert/strict";
import { mock, test } from "node:test";

import {
  Candidate,
  mayUseJpeg,
  ServerSearch,
  WebRtcRetries,
} from "../../../client_web/js/connection/delivery.js";
import { Trouble } from "../../../client_web/js/connection/trouble.js";
import { settled } from "../fakes.js";

test("the JPEG fallback is used only for blocked or missing WebRTC", () => {
  assert.equal(mayUseJpeg(new Trouble("blocked")), true);
  assert.equal(mayUseJpeg(new Trouble("unsupported")), true);
  assert.equal(mayUseJpeg(new Trouble("full")), false);
});

test("the events of a candidate are buffered until it is adopted", () => {
  const calls = [];
  const candidate = new Candidate({
    onVideo: (stream) => calls.push(stream),
    onEvent: (event) => calls.push(event),
    onReady: () => calls.push("ready"),
    isVisible: () => true,
  });
  const { events } = candidate;
  events.onVideo("the stream");
  events.onReady();
  events.onEvent("early");
  assert.deepEqual(calls, []);
  candidate.adopt();
  events.onEvent("late");
  assert.deepEqual(calls, ["the stream", "ready", "late"]);
  assert.equal(events.isVisible(), true);
});

test("the voice of a candidate is held with its video, if a voice is played", () => {
  const receivers = [];
  const parts = { onVideo: () => {}, onEvent: () => {}, onReady: () => {}, isVisible: () => true };
  const candidate = new Candidate({ ...parts, onVoice: (receiver) => receivers.push(receiver) });
  candidate.events.onVoice("early");
  assert.deepEqual(receivers, []);
  candidate.adopt();
  assert.deepEqual(receivers, ["early"]);
  assert.equal("onVoice" in new Candidate(parts).events, false);
});

/** Return whether a promise is fulfilled. */
async function isDone(promise) {
  let done = false;
  promise.then(() => {
    done = true;
  });
  await Promise.resolve();
  await Promise.resolve();
  return done;
}

test("WebRTC is retried with growing delays, and at once on request", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { signal } = new AbortController();
  const retries = new WebRtcRetries();
  const first = retries.next(signal);
  mock.timers.tick(29_999);
  assert.equal(await isDone(first), false);
  mock.timers.tick(1);
  assert.equal(await isDone(first), true);
  const second = retries.next(signal);
  mock.timers.tick(59_999);
  assert.equal(await isDone(second), false);
  retries.now();
  assert.equal(await isDone(second), true);
  mock.timers.reset();
});

test("another server is tried only once the current one drains", async () => {
  const search = new ServerSearch();
  const life = new AbortController();
  let waits = 0;
  const looking = (async () => {
    await search.next(life.signal);
    waits += 1;
    await search.next(life.signal);
    waits += 1;
  })();
  await settled();
  assert.equal(waits, 0);
  search.begin();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(waits, 1);
  life.abort();
  await looking;
  assert.equal(waits, 2);
});
