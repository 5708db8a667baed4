import assert from "node:assert/strict";
import { test } from "node:test";

import { Queue } from "../../../client_web/js/connection/queue.js";

const QUEUE = new URL("http://server.test/v1/streams/demo/queue");

/** A server with these responses in order: a queue position, or the status of a rejection. */
function queued(...answers) {
  const calls = [];
  const pauses = [];
  const fetch = async (url, { method = "GET" } = {}) => {
    calls.push(`${method} ${new URL(url).pathname}`);
    if (method === "DELETE") return new Response(null, { status: 204 });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    if (answer.status) return Response.json({ detail: "no", ...answer }, { status: answer.status });
    const status = { ticket: "T", waiting: 9, ask_after_s: 1.5, ...answer };
    const code = method === "POST" ? 201 : 200;
    return Response.json(status, { status: code, headers: { Location: "/v1/queue/T" } });
  };
  const sleep = async (ms) => void pauses.push(ms);
  const positions = [];
  const queue = new Queue({ fetch, sleep });
  const life = new AbortController();
  const wait = () => queue.wait(QUEUE, ({ place }) => positions.push(place), life.signal);
  return { queue, wait, calls, pauses, positions, life };
}

test("joins, requests its status at the prescribed interval, and returns when admitted", async () => {
  const { queue, wait, calls, pauses, positions } = queued(
    { place: 2 },
    { place: 1 },
    { place: 0 },
  );
  await wait();
  assert.deepEqual(positions, [2, 1, 0]);
  assert.deepEqual(pauses, [1500, 1500]);
  assert.deepEqual(calls, ["POST /v1/streams/demo/queue", "GET /v1/queue/T", "GET /v1/queue/T"]);
  assert.equal(queue.ticket, "T");
});

test("an expired ticket is replaced by joining again", async () => {
  const { wait, calls } = queued({ place: 1 }, { status: 404 }, { place: 0 });
  await wait();
  assert.deepEqual(calls.slice(1), ["GET /v1/queue/T", "POST /v1/streams/demo/queue"]);
});

test("an interruption keeps the queue position", async () => {
  const { wait, calls } = queued({ place: 1 }, new TypeError("offline"), { place: 0 });
  await assert.rejects(wait(), { kind: "unreachable", detail: "offline" });
  await wait();
  assert.deepEqual(calls.slice(1), ["GET /v1/queue/T", "GET /v1/queue/T"]);
});

test("after a rejected admission it waits before it retries", async () => {
  const { wait, pauses } = queued({ place: 0 }, { place: 0 });
  await wait();
  assert.deepEqual(pauses, []);
  await wait();
  assert.deepEqual(pauses, [1500]);
});

test("a full queue and a draining server reject, without another queue to join", async () => {
  await assert.rejects(queued({ status: 503, reason: "full" }).wait(), {
    kind: "full",
    queue: null,
  });
  await assert.rejects(queued({ place: 3 }, { status: 503, reason: "draining" }).wait(), {
    kind: "ending",
  });
});

test("leaving deletes the ticket once", async () => {
  const { queue, wait, calls } = queued({ place: 0 });
  queue.leave();
  await wait();
  queue.leave();
  queue.leave();
  assert.deepEqual(calls.slice(1), ["DELETE /v1/queue/T"]);
  assert.equal(queue.ticket, null);
});

test("a closed page leaves the queue", async () => {
  const { wait, life } = queued({ place: 4 });
  life.abort();
  await wait();
});
