import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { PublishedStreams } from "../../../client_web/js/connection/published_streams.js";

const BASE = new URL("https://server.test/face/");
const STREAM = { id: "me", avatar: "default", live: true, last_seq: 3, viewers: 1 };
const real = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = real;
});

/** Streams of a server with the given answers, and the requests that it received. */
function streamsOf(...answers) {
  const requests = [];
  const fetch = async (address, { method = "GET", body, headers = {} } = {}) => {
    requests.push({ method, path: address.pathname, body, token: headers.Authorization });
    const answer = answers.shift();
    if (!answer) throw new TypeError("the network was lost");
    return answer;
  };
  globalThis.fetch = fetch; // for requests without the page's token
  return { streams: new PublishedStreams(BASE, fetch), requests };
}

const refused = (status, detail = "") => Response.json({ detail }, { status });

test("a stream is found by its name, or is not there", async () => {
  const { streams, requests } = streamsOf(Response.json(STREAM), refused(404));
  assert.deepEqual(await streams.find("my face"), STREAM);
  assert.equal(requests[0].path, "/face/v1/streams/my%20face");
  assert.equal(await streams.find("me"), null);
});

test("other refusals of a search are errors", async () => {
  const { streams } = streamsOf(refused(403, "the token is for another stream"));
  await assert.rejects(streams.find("me"), { kind: "sign-in", status: 403 });
  await assert.rejects(streams.find("me"), { kind: "unreachable" });
});

test("a stream is created, unless its name is taken", async () => {
  const { streams, requests } = streamsOf(new Response(), refused(409), refused(429));
  assert.equal(await streams.create("me", "default"), true);
  const { method, path, body } = requests[0];
  assert.deepEqual([method, path], ["POST", "/face/v1/streams"]);
  assert.deepEqual(JSON.parse(body), { id: "me", avatar: "default" });
  assert.equal(await streams.create("me", "default"), false);
  await assert.rejects(streams.create("me", "default"), { status: 429 });
});

test("a portrait is the image that the server renders", async () => {
  const { streams, requests } = streamsOf(new Response("png"));
  assert.equal(await (await streams.portrait("default")).text(), "png");
  assert.deepEqual(JSON.parse(requests[0].body), { avatar: "default" });
});

test("whether the server requires tokens is asked without one", async () => {
  const { streams, requests } = streamsOf(refused(401), Response.json([]));
  assert.equal(await streams.needsToken(), true);
  assert.equal(await streams.needsToken(), false);
  assert.equal(await streams.needsToken(), false, "unknown where the server does not answer");
  assert.ok(requests.every(({ token }) => token === undefined));
});

test("a token for viewers may watch a stream and not publish to it", async () => {
  const watches = () => Response.json(STREAM);
  for (const [answers, kind] of [
    [[refused(401)], "refused"],
    [[watches(), refused(403)], "view"],
    [[watches(), new Response()], "publish"],
  ]) {
    const { streams, requests } = streamsOf(...answers);
    assert.equal(await streams.tokenKind("abc", "me"), kind);
    assert.ok(requests.every(({ token }) => token === "Bearer abc"));
    assert.equal(requests[1]?.body ?? "[]", "[]", "no frame is sent to find out");
  }
});
