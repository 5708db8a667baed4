// WHEP and WHIP signalling (draft-ietf-wish-whep, RFC 9725): SDP over HTTP, one request to join and one to
// leave.

import { access } from "./access.js";
import { iceServers } from "./ice.js";
import { refusal } from "./refusal.js";
import { messageOf, Trouble } from "./trouble.js";

/** @typedef {typeof globalThis.fetch} Fetch */

/**
 * Offer `pc` to the server and apply the answer.
 *
 * The offer is sent at once, before any candidate is gathered: the server finds the browser as a
 * peer-reflexive candidate. The answer lists the ICE servers to gather with; the candidates found
 * through them are sent afterwards (trickle ICE), because a relay accepts no packets from addresses
 * it does not know.
 *
 * @param {RTCPeerConnection} pc with its transceivers and data channels already added
 * @param {URL} endpoint the stream's WHEP or WHIP address
 * @param {{signal?: AbortSignal, ticket?: string | null, display_px?: number, fetch?: Fetch,
 *   readAnswer?: (sdp: string) => string}} [options] `ticket`: of the queue, once its turn has come;
 *   `display_px`: see `shownAt`; `readAnswer`: returns what is applied of the answer
 * @returns {Promise<URL>} the session's address, for `closeSession`
 * @throws {Trouble} if the server cannot be reached or refuses
 */
export async function openSession(
  pc,
  endpoint,
  { signal, ticket = null, display_px = 0, fetch = access.fetch, readAnswer = (sdp) => sdp } = {},
) {
  const offer = await pc.createOffer();
  const address = shownAt(endpoint, display_px);
  const response = await post(fetch, address, offer.sdp ?? "", signal, ticket);
  if (response.status !== 201) throw await refusal(response, endpoint);
  // A redirect may have moved the session to another host: `Location` is relative to that one.
  const host = new URL(response.url || endpoint);
  const session = new URL(response.headers.get("Location") ?? "", host);
  access.sessionOpened(endpoint, host, session, response.headers.get("Telewarp-Token"));
  try {
    const servers = iceServers(response.headers.get("Link"));
    if (servers.length) {
      // Before `setLocalDescription`, which starts to gather.
      pc.setConfiguration({ iceServers: servers });
      sendCandidates(pc, session, fetch);
    }
    await pc.setLocalDescription(offer);
    await pc.setRemoteDescription({ type: "answer", sdp: readAnswer(await response.text()) });
    signal?.throwIfAborted();
  } catch (error) {
    await closeSession(session, { fetch }); // otherwise the server renders until it times out
    throw error;
  }
  return session;
}

/**
 * Return the address at which frames for a display are requested.
 *
 * @param {URL} endpoint
 * @param {number} display_px rows of the frame on the screen, in the screen's own pixels; 0: unknown
 * @returns {URL}
 */
export function shownAt(endpoint, display_px) {
  const address = new URL(endpoint);
  if (display_px > 0) address.searchParams.set("display", String(display_px));
  return address;
}

/**
 * End a session. It may have ended already.
 *
 * @param {URL} session
 * @param {{fetch?: Fetch}} [options]
 */
export async function closeSession(session, { fetch = access.fetch } = {}) {
  try {
    // `keepalive`, because the page may be closing.
    await fetch(session, { method: "DELETE", keepalive: true });
  } catch {
    // The server is down, and its sessions have ended with it.
  }
  access.sessionClosed(session);
}

/**
 * Send the candidates found through STUN and TURN. The server sees the others by itself.
 *
 * @param {RTCPeerConnection} pc
 * @param {URL} session
 * @param {Fetch} fetch
 */
function sendCandidates(pc, session, fetch) {
  pc.addEventListener("icecandidate", ({ candidate }) => {
    if (candidate?.type !== "relay" && candidate?.type !== "srflx") return;
    const { usernameFragment, sdpMid } = candidate;
    const lines = [
      `a=ice-ufrag:${usernameFragment}`,
      `a=mid:${sdpMid}`,
      `a=${candidate.candidate}`,
    ];
    fetch(session, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag" },
      body: `${lines.join("\r\n")}\r\n`,
    }).catch(() => {}); // other candidates may connect; if none does, the session ends as blocked
  });
}

/**
 * @param {Fetch} fetch
 * @param {URL} endpoint
 * @param {string} sdp
 * @param {AbortSignal | undefined} signal
 * @param {string | null} ticket
 */
async function post(fetch, endpoint, sdp, signal, ticket) {
  try {
    return await fetch(endpoint, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", ...(ticket && { "Telewarp-Ticket": ticket }) },
      body: sdp,
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new Trouble("unreachable", { detail: messageOf(error) });
  }
}
