import assert from "node:assert/strict";
import { test } from "node:test";

import { queueAddress, refusal } from "../../../client_web/js/connection/refusal.js";

const ENDPOINT = new URL("http://server.test/v1/streams/demo/whep");

test("the queue is beside either endpoint of a stream, and has no queue itself", () => {
  const queue = (address) => queueAddress(new URL(address))?.href;
  assert.equal(queue("wss://host/v1/streams/a/pictures"), "https://host/v1/streams/a/queue");
  assert.equal(queue("http://host/v1/streams/a/whep"), "http://host/v1/streams/a/queue");
  assert.equal(queue("http://host/v1/streams/a/queue"), undefined);
});

test("a full server names its queue, on the host that responded", async () => {
  const answer = Response.json({ detail: "full", reason: "full" }, { status: 503 });
  Object.defineProperty(answer, "url", { value: "https://gpu7.test/v1/streams/demo/whep" });
  const trouble = await refusal(answer, ENDPOINT);
  assert.equal(trouble.kind, "full");
  assert.equal(String(trouble.queue), "https://gpu7.test/v1/streams/demo/queue");
  assert.equal(trouble.retry_after_s, 5);
});

test("a response that is no JSON has no detail", async () => {
  const trouble = await refusal(new Response("<html>", { status: 418 }), ENDPOINT);
  assert.deepEqual([trouble.kind, trouble.status, trouble.detail], ["refused", 418, ""]);
});
