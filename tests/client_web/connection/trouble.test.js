import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../../client_web/js/connection/backoff.js";
import { Trouble, describeTrouble, waitAfter } from "../../../client_web/js/connection/trouble.js";

const PLACE = { stream: "anna", host: "example.org" };
const KINDS = [
  "unsupported",
  "unreachable",
  "unknown-stream",
  "full",
  "ending",
  "not-ready",
  "sign-in",
  "refused",
  "blocked",
  "lost",
  "stalled",
  "undecodable",
];

test("every trouble has words of its own", () => {
  const titles = KINDS.map((kind) => describeTrouble(new Trouble(kind), PLACE));
  for (const { title, detail } of titles) assert.ok(title.length > 10 && detail.length > 10);
  assert.equal(new Set(titles.map(({ title }) => title)).size, KINDS.length);
});

test("the words name the stream and the server", () => {
  assert.match(describeTrouble(new Trouble("unknown-stream"), PLACE).title, /anna/);
  assert.match(describeTrouble(new Trouble("unreachable"), PLACE).detail, /example\.org/);
});

test("the server's own words are passed on as a sentence", () => {
  const full = new Trouble("full", { detail: "all 32 places are taken" });
  assert.equal(describeTrouble(full, PLACE).detail, "All 32 places are taken.");
});

test("the server's Retry-After is obeyed", () => {
  assert.equal(waitAfter(new Trouble("full", { retry_after_s: 17 }), new Backoff()), 17);
});

test("waits for a lost server grow, waits for a missing stream do not", () => {
  const backoff = new Backoff({ random: () => 0 });
  const waits = (kind) => [1, 2, 3].map(() => waitAfter(new Trouble(kind), backoff));
  assert.deepEqual(waits("unreachable"), [0.5, 1, 2]);
  assert.deepEqual(waits("unknown-stream"), [5, 5, 5]);
});

test("without a token nothing is asked again until there is one", () => {
  assert.equal(waitAfter(new Trouble("sign-in"), new Backoff()), null);
  const wrong = new Trouble("sign-in", { status: 403, detail: "expected a token for stream 'a'" });
  assert.equal(describeTrouble(wrong, PLACE).detail, "Expected a token for stream 'a'.");
});

test("a browser without WebRTC is not asked again", () => {
  assert.equal(waitAfter(new Trouble("unsupported"), new Backoff()), null);
});
