// WHEP signalling (draft-ietf-wish-whep): SDP over HTTP, one request to join, one to leave.

import { access } from "./access.js";
import { iceServers } from "./ice.js";
import { Trouble } from "./trouble.js";

/**
 * Offers `pc` to the server and applies its answer.
 *
 * The offer goes out at once, before any candidate is gathered: the server finds the browser as a
 * peer-reflexive candidate, and nobody waits. The answer names the ICE servers to gather with; what
 * they find is sent after it, since a relay lets nothing in from addresses it was not told of.
 *
 * @param {RTCPeerConnection} pc with its transceivers and data channels already added
 * @param {URL} endpoint the stream's WHEP address
 * @param {{signal?: AbortSignal, ticket?: string | null, fetch?: typeof globalThis.fetch}} [options]
 *   `ticket`: a place in the waiting line whose turn has come
 * @returns {Promise<URL>} the session's address, for `closeSession`
 * @throws {Trouble} if the server cannot be reached or refuses
 */
export async function openSession(pc, endpoint, { signal, ticket = null, fetch = access.fetch } = {}) {
  const offer = await pc.createOffer();
  const response = await post(fetch, endpoint, offer.sdp, { signal, ticket });
  if (response.status !== 201) throw await refusal(response, endpoint);
  // A redirect may have moved the session to another host: its address is relative to that one.
  const host = new URL(response.url || endpoint);
  const session = new URL(response.headers.get("Location"), host);
  // Another origin than the page's is never told its token, but gives one of its own.
  access.placed(host, response.headers.get("Telewarp-Token"));
  try {
    const servers = iceServers(response.headers.get("Link"));
    if (servers.length) {
      pc.setConfiguration({ iceServers: servers });
      trickle(pc, session, fetch);
    }
    await pc.setLocalDescription(offer);
    await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
    signal?.throwIfAborted();
  } catch (error) {
    await closeSession(session, { fetch }); // or the server renders for nobody
    throw error;
  }
  return session;
}

/**
 * Ends a session; one that is gone already is as good.
 *
 * @param {URL} session @param {{fetch?: typeof globalThis.fetch}} [options]
 */
export async function closeSession(session, { fetch = access.fetch } = {}) {
  try {
    await fetch(session, { method: "DELETE", keepalive: true }); // keepalive: may run on page hide
  } catch {
    // The server is gone, and the session with it.
  }
}

/** Sends the candidates that other hosts have found for us; our own ones the server finds itself. */
function trickle(pc, session, fetch) {
  pc.addEventListener("icecandidate", ({ candidate }) => {
    if (candidate?.type !== "relay" && candidate?.type !== "srflx") return;
    const { usernameFragment, sdpMid } = candidate;
    const lines = [`a=ice-ufrag:${usernameFragment}`, `a=mid:${sdpMid}`, `a=${candidate.candidate}`];
    fetch(session, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag" },
      body: `${lines.join("\r\n")}\r\n`,
    }).catch(() => {}); // the way may be found without it; if not, the session ends as blocked
  });
}

async function post(fetch, endpoint, sdp, { signal, ticket }) {
  try {
    return await fetch(endpoint, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", ...(ticket && { "Telewarp-Ticket": ticket }) },
      body: sdp,
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new Trouble("unreachable", { detail: error.message });
  }
}

/**
 * @param {Response} response @param {URL} asked where it came from, unless it was redirected
 * @returns {Promise<Trouble>} why the server refused
 */
export async function refusal(response, asked) {
  const { detail, reason } = await problem(response);
  const facts = { status: response.status, detail, retry_after_s: retryAfter(response) };
  if (response.status === 403) return new Trouble("sign-in", facts);
  if (response.status === 401) {
    const refused = response.headers.get("WWW-Authenticate")?.includes("invalid_token");
    return new Trouble("sign-in", refused ? facts : {});
  }
  if (response.status === 404) return new Trouble("unknown-stream", facts);
  if (response.status === 503) return unavailable(reason, facts, new URL(response.url || asked));
  if ([502, 504].includes(response.status)) return new Trouble("unreachable", facts); // a proxy's word
  return new Trouble("refused", facts);
}

function unavailable(reason, facts, address) {
  const soon = { ...facts, retry_after_s: facts.retry_after_s ?? 5 };
  if (reason === "draining") return new Trouble("ending", soon);
  if (reason !== "full") return new Trouble("not-ready", soon);
  return new Trouble("full", { ...soon, queue: queueBeside(address) });
}

/** @param {URL} address of a stream's `whep` or `pictures` @returns {URL | null} its waiting line */
export function queueBeside(address) {
  if (address.pathname.endsWith("/queue")) return null; // which is full too
  const queue = new URL("queue", address);
  queue.protocol = queue.protocol.replace("ws", "http");
  return queue;
}

/** The words and the reason of an RFC 9457 answer, as far as there are any. */
async function problem(response) {
  try {
    const { detail, reason } = await response.json();
    return { detail: typeof detail === "string" ? detail : "", reason };
  } catch {
    return { detail: "" };
  }
}

/** `Retry-After` in seconds; its date form is not used by this server. */
function retryAfter(response) {
  const seconds = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}
