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
 * @param {{signal?: AbortSignal, fetch?: typeof globalThis.fetch}} [options]
 * @returns {Promise<URL>} the session's address, for `closeSession`
 * @throws {Trouble} if the server cannot be reached or refuses
 */
export async function openSession(pc, endpoint, { signal, fetch = access.fetch } = {}) {
  const offer = await pc.createOffer();
  const response = await post(fetch, endpoint, offer.sdp, signal);
  if (response.status !== 201) throw await refusal(response);
  // A redirect may have moved the session to another host: its address is relative to that one.
  const session = new URL(response.headers.get("Location"), response.url || endpoint);
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

async function post(fetch, endpoint, sdp, signal) {
  try {
    return await fetch(endpoint, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: sdp,
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new Trouble("unreachable", { detail: error.message });
  }
}

/** @param {Response} response */
async function refusal(response) {
  const facts = {
    status: response.status,
    detail: await problemDetail(response),
    retry_after_s: retryAfter(response),
  };
  if (response.status === 403) return new Trouble("sign-in", facts);
  if (response.status === 401) {
    const refused = response.headers.get("WWW-Authenticate")?.includes("invalid_token");
    return new Trouble("sign-in", refused ? facts : {});
  }
  if (response.status === 404) return new Trouble("unknown-stream", facts);
  if (response.status === 503)
    return new Trouble("full", { ...facts, retry_after_s: facts.retry_after_s ?? 5 });
  if ([502, 504].includes(response.status)) return new Trouble("unreachable", facts); // a proxy's word
  return new Trouble("refused", facts);
}

/** The `detail` of an RFC 9457 answer, or nothing. */
async function problemDetail(response) {
  try {
    const { detail } = await response.json();
    return typeof detail === "string" ? detail : "";
  } catch {
    return "";
  }
}

/** `Retry-After` in seconds; its date form is not used by this server. */
function retryAfter(response) {
  const seconds = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}
