// Turns an HTTP answer that refuses a session into a `Trouble`.

import { Trouble } from "./trouble.js";

const RETRY_AFTER_S = 5; // for a 503 without `Retry-After`

/**
 * Describe why the server refused.
 *
 * @param {Response} response
 * @param {URL} requested its address, unless the request was redirected
 * @returns {Promise<Trouble>}
 */
export async function refusal(response, requested) {
  const { detail, reason } = await readProblem(response);
  const facts = { status: response.status, detail, retry_after_s: retryAfter(response) };
  if (response.status === 403) return new Trouble("sign-in", facts);
  if (response.status === 401) {
    const invalid = response.headers.get("WWW-Authenticate")?.includes("invalid_token");
    return new Trouble("sign-in", invalid ? facts : {});
  }
  if (response.status === 404) return new Trouble("unknown-stream", facts);
  if (response.status === 503) {
    return unavailable(reason, facts, new URL(response.url || requested));
  }
  // A proxy in front of the server answers so when the server does not answer it.
  if ([502, 504].includes(response.status)) return new Trouble("unreachable", facts);
  return new Trouble("refused", facts);
}

/**
 * @param {unknown} reason
 * @param {import("./trouble.js").TroubleFacts} facts
 * @param {URL} address
 */
function unavailable(reason, facts, address) {
  const retry = { ...facts, retry_after_s: facts.retry_after_s ?? RETRY_AFTER_S };
  if (reason === "draining") return new Trouble("ending", retry);
  if (reason !== "full") return new Trouble("not-ready", retry);
  return new Trouble("full", { ...retry, queue: queueAddress(address) });
}

/**
 * Return the address of a stream's queue.
 *
 * @param {URL} address of the stream's `whep` or `pictures` endpoint
 * @returns {URL | null} null for the queue itself, which can be full too
 */
export function queueAddress(address) {
  if (address.pathname.endsWith("/queue")) return null;
  const queue = new URL("queue", address);
  queue.protocol = queue.protocol.replace("ws", "http");
  return queue;
}

/**
 * Read detail and reason of an RFC 9457 answer, as far as there are any.
 *
 * @param {Response} response
 * @returns {Promise<{detail: string, reason?: unknown}>}
 */
async function readProblem(response) {
  try {
    const { detail, reason } = await response.json();
    return { detail: typeof detail === "string" ? detail : "", reason };
  } catch {
    return { detail: "" };
  }
}

/**
 * @param {Response} response
 * @returns {number | null} `Retry-After` in seconds; this server does not use its date form
 */
function retryAfter(response) {
  const seconds = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}
