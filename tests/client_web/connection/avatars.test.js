import assert from "node:assert/strict";
import { test } from "node:test";

import { fetchAvatar } from "../../../client_web/js/connection/avatars.js";

const BASE = new URL("http://server.test/behind/");

function answering(answers) {
  const requests = [];
  const fetch = async (url) => {
    requests.push(url.pathname);
    const answer = answers[url.pathname];
    return answer ? Response.json(answer) : new Response(null, { status: 404 });
  };
  return { fetch, requests };
}

test("the avatar is requested from its stream", async () => {
  const { fetch, requests } = answering({
    "/behind/v1/streams/a%2Fb": { avatar: "ada" },
    "/behind/v1/avatars/ada": { id: "ada", name: "Ada" },
  });
  assert.deepEqual(await fetchAvatar("a/b", BASE, { fetch }), { id: "ada", name: "Ada" });
  assert.equal(requests.length, 2);
});

test("without a response there is no avatar and no error", async () => {
  assert.equal(await fetchAvatar("demo", BASE, { fetch: answering({}).fetch }), null);
  const fetch = async () => Promise.reject(new TypeError("offline"));
  assert.equal(await fetchAvatar("demo", BASE, { fetch }), null);
});
