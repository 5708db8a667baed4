import assert from "node:assert/strict";
import { test } from "node:test";

import { findHost } from "../../../client_web/js/connection/host.js";

const PATH = "v1/streams/me";

/** A response that came from another address, as after redirects. */
function responseFrom(address, body, options = {}) {
  const response = Response.json(body, options);
  Object.defineProperty(response, "url", { value: address });
  return async () => response;
}

test("without a router the page's server has it", async () => {
  const base = new URL("https://server.test/face/");
  const found = await findHost(base, PATH, async () => Response.json({ id: "me" }));
  assert.equal(found.host.href, base.href);
  assert.equal(found.address.href, "https://server.test/face/v1/streams/me");
  assert.deepEqual(found.description, { id: "me" });
});

test("behind a router the host is where the redirect led, without its token", async () => {
  const fetch = responseFrom("https://host2.test:9000/sub/v1/streams/me?redirect=once", {});
  const found = await findHost(new URL("https://router.test/"), PATH, fetch);
  assert.equal(found.host.href, "https://host2.test:9000/sub/");
  assert.equal(found.address.href, "https://host2.test:9000/sub/v1/streams/me");
});

test("a refusal and a server that does not answer are troubles of their own kinds", async () => {
  const base = new URL("https://server.test/");
  const refused = async () => Response.json({ detail: "no such stream" }, { status: 404 });
  await assert.rejects(findHost(base, PATH, refused), { kind: "unknown-stream" });
  const silent = async () => {
    throw new TypeError("the network was lost");
  };
  await assert.rejects(findHost(base, PATH, silent), { kind: "unreachable" });
});
