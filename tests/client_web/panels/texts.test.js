import assert from "node:assert/strict";
import { test } from "node:test";

import { Trouble } from "../../../client_web/js/connection/trouble.js";
import { describeQueuePosition, describeTrouble } from "../../../client_web/js/panels/texts.js";

const SOURCE = { stream: "anna", host: "example.org" };
const KINDS = [
  "unsupported",
  "unreachable",
  "unknown-stream",
  "full",
  "ending",
  "not-ready",
  "sign-in",
  "expired",
  "refused",
  "blocked",
  "lost",
  "stalled",
  "undecodable",
];

test("every trouble has its own text", () => {
  const titles = KINDS.map((kind) => describeTrouble(new Trouble(kind), SOURCE));
  for (const { title, detail } of titles) assert.ok(title.length > 10 && detail.length > 10);
  assert.equal(new Set(titles.map(({ title }) => title)).size, KINDS.length);
});

test("the texts name the stream and the server", () => {
  assert.match(describeTrouble(new Trouble("unknown-stream"), SOURCE).title, /anna/);
  assert.match(describeTrouble(new Trouble("unreachable"), SOURCE).detail, /example\.org/);
});

test("a deleted avatar and a stream that may begin have different texts", () => {
  for (const detail of [
    "the stream was deleted: its avatar was deleted",
    "no stream 'anna': its avatar was deleted",
  ]) {
    const gone = new Trouble("unknown-stream", { detail });
    assert.equal(describeTrouble(gone, SOURCE).detail, "Its avatar was deleted.");
  }
  const later = new Trouble("unknown-stream", { detail: "no stream 'anna'" });
  assert.match(describeTrouble(later, SOURCE).detail, /may not have started/);
});

test("a name that no stream can have is said to be one", () => {
  for (const stream of ["a b", "", ".a", "a/b", "ä", "a".repeat(65)]) {
    const text = describeTrouble(new Trouble("unknown-stream"), { ...SOURCE, stream });
    assert.match(text.detail, /^Names of streams have 1 to 64 letters/);
  }
});

test("the detail of the server is shown as a sentence", () => {
  const full = new Trouble("full", { detail: "all 32 sessions are in use" });
  assert.equal(describeTrouble(full, SOURCE).detail, "All 32 sessions are in use.");
});

test("a rejected token is explained with the server's detail", () => {
  const wrong = new Trouble("sign-in", { status: 403, detail: "expected a token for stream 'a'" });
  assert.equal(describeTrouble(wrong, SOURCE).detail, "Expected a token for stream 'a'.");
});

test("the position in the queue is described in words", () => {
  const titles = [0, 1, 2, 3, 11, 103].map((position) => describeQueuePosition(position).title);
  assert.deepEqual(titles, [
    "It is your turn",
    "You are next in the queue",
    "You are number 2 in the queue",
    "You are number 3 in the queue",
    "You are number 11 in the queue",
    "You are number 103 in the queue",
  ]);
  assert.match(describeQueuePosition(2).detail, /^The server is full\./);
});
