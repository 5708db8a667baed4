import assert from "node:assert/strict";
import { test } from "node:test";

import { Access } from "../../../client_web/js/connection/access.js";

const ORIGIN = "https://face.example";

class FakeStorage {
  items = new Map();
  getItem = (key) => this.items.get(key) ?? null;
  setItem = (key, value) => this.items.set(key, value);
  removeItem = (key) => this.items.delete(key);
}

function address(hash) {
  const replaced = [];
  const history = { state: null, replaceState: (_state, _title, url) => replaced.push(url) };
  return { location: { pathname: "/", search: "?stream=me", hash }, history, replaced };
}

/** Return the `Authorization` header of each request. */
async function authorizations(access, ...resources) {
  const { fetch } = globalThis;
  const tokens = [];
  globalThis.fetch = async (_resource, { headers }) => tokens.push(headers.get("Authorization"));
  try {
    for (const resource of resources)
      await access.fetch(resource, { headers: { "Content-Type": "application/sdp" } });
  } finally {
    globalThis.fetch = fetch;
  }
  return tokens;
}

test("the token in the address is read, stored for the tab and removed from the address", async () => {
  const storage = new FakeStorage();
  const { location, history, replaced } = address("#token=a.b-c_d");
  new Access(ORIGIN, storage).takeFrom(location, history);
  assert.deepEqual(replaced, ["/?stream=me"]);
  const reloaded = new Access(ORIGIN, storage);
  assert.deepEqual(await authorizations(reloaded, `${ORIGIN}/v1/avatars`), ["Bearer a.b-c_d"]);
});

test("an address without a token is not changed", () => {
  for (const hash of ["", "#", "#elsewhere"]) {
    const { location, history, replaced } = address(hash);
    new Access(ORIGIN, null).takeFrom(location, history);
    assert.deepEqual(replaced, []);
  }
});

test("the token is sent to no other origin", async () => {
  const access = new Access(ORIGIN, null);
  access.use("secret");
  const tokens = await authorizations(
    access,
    new URL("/v1/avatars", ORIGIN),
    "https://other.example/",
    "http://face.example/",
    "https://face.example:8443/",
  );
  assert.deepEqual(tokens, ["Bearer secret", null, null, null]);
});

test("a token may be pasted with spaces or as the whole link, and be removed", async () => {
  const storage = new FakeStorage();
  const access = new Access(ORIGIN, storage);
  access.use("  secret\n");
  const socket = new URL("wss://face.example/v1/streams/me/pictures");
  assert.deepEqual(access.subprotocols(socket), ["telewarp", "telewarp.token.secret"]);
  access.use(`${ORIGIN}/?stream=me#token=other`);
  assert.deepEqual(await authorizations(access, ORIGIN), ["Bearer other"]);
  access.use("");
  assert.equal(storage.items.size, 0);
  assert.deepEqual(access.subprotocols(socket), []);
  assert.deepEqual(access.subprotocols(socket, "T"), ["telewarp", "telewarp.ticket.T"]);
  assert.deepEqual(await authorizations(access, ORIGIN), [null]);
});

test("a host after a redirect gets only the token that it issued", async () => {
  const access = new Access(ORIGIN, null);
  access.use("secret");
  const host = "http://gpu7.example:8001";
  const endpoint = new URL("/behind/v1/streams/me/whep", ORIGIN);
  assert.equal(
    String(access.beside("pictures", endpoint)),
    `${ORIGIN}/behind/v1/streams/me/pictures`,
  );
  access.hostFound(new URL("/v1/calls/us", host), "given");
  access.sessionOpened(
    endpoint,
    new URL("/v1/streams/me/whep?pass=p", host),
    new URL("/v1/sessions/abc", host),
    null,
  );
  const tokens = await authorizations(
    access,
    `${host}/v1/sessions/abc`,
    "http://other.example/",
    ORIGIN,
  );
  assert.deepEqual(tokens, ["Bearer given", null, "Bearer secret"]);
  assert.deepEqual(access.subprotocols(new URL("ws://gpu7.example:8001/")), [
    "telewarp",
    "telewarp.token.given",
  ]);
  assert.equal(String(access.beside("pictures", endpoint)), `${host}/v1/streams/me/pictures`);
});

test("each session on a host keeps its token, which is also used for resources beside it", async () => {
  const access = new Access(ORIGIN, null);
  const host = "http://gpu7.example:8001";
  const opened = (kind, id, token) => {
    const endpoint = new URL(`/v1/streams/me/${kind}`, ORIGIN);
    const session = new URL(`/v1/${id}`, host);
    access.sessionOpened(endpoint, new URL(`${endpoint.pathname}?pass=p`, host), session, token);
    return { endpoint, session };
  };
  const whip = opened("whip", "publications/1", "to publish");
  const whep = opened("whep", "sessions/1", "to watch");
  assert.deepEqual(await authorizations(access, whip.session, whep.session), [
    "Bearer to publish",
    "Bearer to watch",
  ]);
  const pictures = access.beside("pictures", whep.endpoint);
  pictures.protocol = "ws:";
  assert.deepEqual(access.subprotocols(pictures), ["telewarp", "telewarp.token.to watch"]);
  access.sessionClosed(whip.session);
  assert.deepEqual(await authorizations(access, whip.session, whep.session), [
    null,
    "Bearer to watch",
  ]);
});

test("resources below a session get its token, however the session was opened", async () => {
  const access = new Access(ORIGIN, null);
  const host = "http://gpu7.example:8001";
  const endpoint = new URL("/v1/streams/me/whep", ORIGIN);
  const [session, later] = [1, 12].map((id) => new URL(`/v1/sessions/${id}`, host));
  access.sessionOpened(endpoint, new URL(endpoint.pathname, host), session, "to watch");
  const still = new URL(`${session.href}/stills/3`);
  // Not the token of a session whose id is a prefix.
  assert.deepEqual(await authorizations(access, still, later), ["Bearer to watch", null]);
  access.sessionNamed(later, access.beside("pictures", endpoint));
  assert.deepEqual(await authorizations(access, new URL(`${later.href}/stills/1`)), [
    "Bearer to watch",
  ]);
  access.sessionClosed(later);
  assert.deepEqual(await authorizations(access, later), [null]);
});
