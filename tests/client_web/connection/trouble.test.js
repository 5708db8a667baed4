import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../../client_web/js/connection/backoff.js";
import { messageOf, Trouble, waitAfter } from "../../../client_web/js/connection/trouble.js";

test("the server's Retry-After is respected", () => {
  assert.equal(waitAfter(new Trouble("full", { retry_after_s: 17 }), new Backoff()), 17);
});

test("delays for a lost server grow, delays for a missing stream do not", () => {
  const backoff = new Backoff({ random: () => 0 });
  const waits = (kind) => [1, 2, 3].map(() => waitAfter(new Trouble(kind), backoff));
  assert.deepEqual(waits("unreachable"), [0.5, 1, 2]);
  assert.deepEqual(waits("unknown-stream"), [5, 5, 5]);
  assert.deepEqual(waits("expired"), [0, 0, 0]);
});

test("without a token there is no retry until one is entered", () => {
  assert.equal(waitAfter(new Trouble("sign-in"), new Backoff()), null);
});

test("a browser without WebRTC does not retry", () => {
  assert.equal(waitAfter(new Trouble("unsupported"), new Backoff()), null);
});

test("any thrown value has a message", () => {
  assert.equal(messageOf(new TypeError("offline")), "offline");
  assert.equal(messageOf("gone"), "gone");
});
