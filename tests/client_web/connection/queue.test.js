import assert from "node:assert/strict";
import { test } from "node:test";

import { WaitingLine, describePlace } from "../../../client_web/js/connection/queue.js";

const QUEUE = new URL("http://server.test/v1/streams/demo/queue");

/** A server that gives these answers in turn: a place, or a status that refuses. */
function line(...answers) {
  const calls = [];
  const pauses = [];
  const fetch = async (url, { method = "GET" } = {}) => {
    calls.push(`${method} ${new URL(url).pathname}`);
    if (method === "DELETE") return new Response(null, { status: 204 });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    if (answer.status) return Response.json({ detail: "no", ...answer }, { status: answer.status });
    const turn = { ticket: "T", waiting: 9, ask_after_s: 1.5, ...answer };
    const status = method === "POST" ? 201 : 200;
    return Response.json(turn, { status, headers: { Location: "/v1/queue/T" } });
  };
  const sleep = async (ms) => void pauses.push(ms);
  const places = [];
  const waiting = new WaitingLine({ fetch, sleep });
  const life = new AbortController();
  const wait = () => waiting.wait(QUEUE, ({ place }) => places.push(place), life.signal);
  return { waiting, wait, calls, pauses, places, life };
}

test("joins, asks at the server's pace, and is done when its turn comes", async () => {
  const { waiting, wait, calls, pauses, places } = line({ place: 2 }, { place: 1 }, { place: 0 });
  await wait();
  assert.deepEqual(places, [2, 1, 0]);
  assert.deepEqual(pauses, [1500, 1500]);
  assert.deepEqual(calls, ["POST /v1/streams/demo/queue", "GET /v1/queue/T", "GET /v1/queue/T"]);
  assert.equal(waiting.ticket, "T");
});

test("a lost place means joining anew", async () => {
  const { wait, calls } = line({ place: 1 }, { status: 404 }, { place: 0 });
  await wait();
  assert.deepEqual(calls.slice(1), ["GET /v1/queue/T", "POST /v1/streams/demo/queue"]);
});

test("an interruption does not cost the place", async () => {
  const { wait, calls } = line({ place: 1 }, new TypeError("offline"), { place: 0 });
  await assert.rejects(wait(), { kind: "unreachable", detail: "offline" });
  await wait();
  assert.deepEqual(calls.slice(1), ["GET /v1/queue/T", "GET /v1/queue/T"]);
});

test("who was called in vain does not come again at once", async () => {
  const { wait, pauses } = line({ place: 0 }, { place: 0 });
  await wait();
  assert.deepEqual(pauses, []);
  await wait();
  assert.deepEqual(pauses, [1500]);
});

test("a line that is full, or a server that ends, is a trouble without a line", async () => {
  await assert.rejects(line({ status: 503, reason: "full" }).wait(), { kind: "full", queue: null });
  await assert.rejects(line({ place: 3 }, { status: 503, reason: "draining" }).wait(), {
    kind: "ending",
  });
});

test("leaving gives the place back, once", async () => {
  const { waiting, wait, calls } = line({ place: 0 });
  waiting.leave();
  await wait();
  waiting.leave();
  waiting.leave();
  assert.deepEqual(calls.slice(1), ["DELETE /v1/queue/T"]);
  assert.equal(waiting.ticket, null);
});

test("a page that is put away waits no longer", async () => {
  const { wait, life } = line({ place: 4 });
  life.abort();
  await wait();
});

test("places are told in words", () => {
  const words = [0, 1, 2, 3, 4, 11, 12, 13, 21, 22, 103].map(describePlace);
  assert.deepEqual(words.slice(0, 5), [
    "It is your turn",
    "You are next in line",
    "You are 2nd in line",
    "You are 3rd in line",
    "You are 4th in line",
  ]);
  assert.deepEqual(
    words.slice(5).map((text) => text.split(" ")[2]),
    ["11th", "12th", "13th", "21st", "22nd", "103rd"],
  );
});
