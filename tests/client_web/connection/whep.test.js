import assert from "node:assert/strict";
import { test } from "node:test";
import { separateVoice } from "../../../client_web/js/connection/webrtc_session.js";
import { closeSession, openSession } from "../../../client_web/js/connection/whep.js";

const ENDPOINT = new URL("http://server.test/v1/streams/demo/whep");

class FakePeerConnection extends EventTarget {
  localDescription = null;
  answer = null;
  brokenAnswer = false;
  configuration = null;

  async createOffer() {
    return { type: "offer", sdp: "the offer" };
  }

  setConfiguration(configuration) {
    assert.equal(this.localDescription, null, "gathering has begun without the servers");
    this.configuration = configuration;
  }

  async setLocalDescription(offer) {
    this.localDescription = offer;
  }

  found(candidate) {
    this.dispatchEvent(Object.assign(new Event("icecandidate"), { candidate }));
  }

  async setRemoteDescription(answer) {
    if (this.brokenAnswer) throw new Error("no such codec");
    this.answer = answer;
  }
}

/** Record every request, and give each the same response. */
function fakeFetch(answer) {
  const requests = [];
  const fetch = async (url, options) => {
    requests.push({ url: String(url), ...options });
    options.signal?.throwIfAborted();
    return answer();
  };
  return { fetch, requests };
}

const created = () =>
  new Response("the answer", { status: 201, headers: { Location: "/v1/sessions/abc" } });
const problem =
  (status, detail, headers = {}, more = {}) =>
  () =>
    Response.json({ detail, ...more }, { status, headers });

test("the address of the offer names the size of the display", async () => {
  const { fetch, requests } = fakeFetch(created);
  const endpoint = new URL("?background=transparent", ENDPOINT);
  await openSession(new FakePeerConnection(), endpoint, { fetch, display_px: 780 });
  assert.equal(requests[0].url, `${endpoint}&display=780`);
  assert.equal(endpoint.searchParams.has("display"), false, "the caller's address has changed");
});

test("posts the offer at once and applies the answer", async () => {
  const pc = new FakePeerConnection();
  const { fetch, requests } = fakeFetch(created);
  const session = await openSession(pc, ENDPOINT, { fetch });
  assert.equal(String(session), "http://server.test/v1/sessions/abc");
  assert.equal(requests[0].body, "the offer");
  assert.equal(requests[0].url, String(ENDPOINT), "the size of the display is not known");
  assert.equal(requests[0].headers["Content-Type"], "application/sdp");
  assert.deepEqual(pc.answer, { type: "answer", sdp: "the answer" });
});

test("a ticket of the queue is sent with the offer", async () => {
  const { fetch, requests } = fakeFetch(created);
  await openSession(new FakePeerConnection(), ENDPOINT, { fetch, ticket: "T" });
  assert.equal(requests[0].headers["Telewarp-Ticket"], "T");
});

test("gathers with the ICE servers of the response, and trickles the candidates", async () => {
  const pc = new FakePeerConnection();
  const Link =
    '<turn:turn.test>; rel="ice-server"; username="u"; credential="c"; credential-type="password"';
  const { fetch, requests } = fakeFetch(
    () =>
      new Response("the answer", { status: 201, headers: { Location: "/v1/sessions/abc", Link } }),
  );
  await openSession(pc, ENDPOINT, { fetch });
  assert.deepEqual(pc.configuration, {
    iceServers: [{ urls: "turn:turn.test", username: "u", credential: "c" }],
  });
  const found = {
    usernameFragment: "EsAw",
    sdpMid: "0",
    candidate: "candidate:1 1 udp 1 192.0.2.1",
  };
  pc.found({ ...found, type: "relay" });
  pc.found({ ...found, type: "host" });
  pc.found(null);
  assert.deepEqual(
    requests.slice(1).map(({ method, url, body }) => ({ method, url, body })),
    [
      {
        method: "PATCH",
        url: "http://server.test/v1/sessions/abc",
        body: "a=ice-ufrag:EsAw\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1\r\n",
      },
    ],
  );
});

test("each rejection has its own kind of trouble", async () => {
  const open = (answer) =>
    openSession(new FakePeerConnection(), ENDPOINT, { fetch: fakeFetch(answer).fetch });
  await assert.rejects(open(problem(404, "no stream 'demo'")), {
    kind: "unknown-stream",
    status: 404,
  });
  const full = { reason: "full" };
  await assert.rejects(open(problem(503, "all taken", { "Retry-After": "17" }, full)), {
    kind: "full",
    detail: "all taken",
    retry_after_s: 17,
    queue: new URL("http://server.test/v1/streams/demo/queue"),
  });
  await assert.rejects(open(problem(503, "all taken", {}, full)), { retry_after_s: 5 });
  await assert.rejects(open(problem(503, "no worker")), { kind: "not-ready", queue: null });
  await assert.rejects(open(problem(503, "going down", {}, { reason: "draining" })), {
    kind: "ending",
    queue: null,
  });
  await assert.rejects(open(problem(401, "got none")), { kind: "sign-in", detail: "" });
  const invalid = { "WWW-Authenticate": 'Bearer error="invalid_token"' };
  await assert.rejects(open(problem(401, "too old", invalid)), { detail: "too old" });
  await assert.rejects(open(problem(415, "send SDP")), { kind: "refused", detail: "send SDP" });
  await assert.rejects(
    open(() => new Response("<html>", { status: 502 })),
    { kind: "unreachable" },
  );
});

test("a server that does not respond is unreachable", async () => {
  const fetch = async () => {
    throw new TypeError("fetch failed");
  };
  await assert.rejects(openSession(new FakePeerConnection(), ENDPOINT, { fetch }), {
    kind: "unreachable",
  });
});

test("an invalid SDP answer deletes the session, so that the server stops rendering", async () => {
  const pc = new FakePeerConnection();
  pc.brokenAnswer = true;
  const { fetch, requests } = fakeFetch(created);
  await assert.rejects(openSession(pc, ENDPOINT, { fetch }), /no such codec/);
  assert.deepEqual(
    [requests[1].method, requests[1].url],
    ["DELETE", "http://server.test/v1/sessions/abc"],
  );
});

test("an abort rejects with its reason", async () => {
  const life = new AbortController();
  life.abort(new Error("left"));
  const { fetch } = fakeFetch(created);
  await assert.rejects(
    openSession(new FakePeerConnection(), ENDPOINT, { fetch, signal: life.signal }),
    /left/,
  );
});

test("leaving works while the page closes, and without a server", async () => {
  const { fetch, requests } = fakeFetch(() => new Response(null, { status: 204 }));
  await closeSession(new URL("http://server.test/v1/sessions/abc"), { fetch });
  assert.equal(requests[0].keepalive, true);
  await closeSession(new URL("http://server.test/v1/sessions/abc"), {
    fetch: async () => {
      throw new TypeError("fetch failed");
    },
  });
});

test("a session on a host chosen by a router is deleted there, with the token of that host", async () => {
  const { fetch, requests } = fakeFetch(() => {
    const headers = { Location: "/v1/sessions/abc", "Telewarp-Token": "given" };
    const answer = new Response("the answer", { status: 201, headers });
    return Object.defineProperty(answer, "url", {
      value: "http://gpu7.test/v1/streams/demo/whep?pass=p",
    });
  });
  const session = await openSession(new FakePeerConnection(), ENDPOINT, { fetch });
  assert.equal(String(session), "http://gpu7.test/v1/sessions/abc");
  const { fetch: real } = globalThis;
  globalThis.fetch = fetch;
  try {
    await closeSession(session);
  } finally {
    globalThis.fetch = real;
  }
  assert.equal(requests[1].headers.get("Authorization"), "Bearer given");
});

test("the voice is applied as a separate stream, which the browser does not align with the video", async () => {
  const answer = [
    "v=0",
    "m=video 9 UDP/TLS/RTP/SAVPF 96",
    "a=msid:one video0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=msid:one audio0",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "",
  ].join("\r\n");
  const pc = new FakePeerConnection();
  const location = { Location: "/v1/sessions/abc" };
  const { fetch } = fakeFetch(() => new Response(answer, { status: 201, headers: location }));
  await openSession(pc, ENDPOINT, { fetch, readAnswer: separateVoice });
  assert.equal(pc.answer.sdp, answer.replace("a=msid:one audio0", "a=msid:voice audio0"));
});
