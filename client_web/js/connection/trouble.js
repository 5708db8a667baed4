// Everything that can keep the video away, as one error type, and how long to wait before a retry.

/**
 * @typedef {"unsupported" | "unreachable" | "unknown-stream" | "full" | "ending" | "not-ready"
 *   | "sign-in" | "expired" | "refused" | "blocked" | "lost" | "stalled" | "undecodable"} TroubleKind
 *
 * @typedef {object} TroubleFacts
 * @property {string} [detail] the server's or the browser's own words
 * @property {number} [status] HTTP status code
 * @property {number | null} [retry_after_s] when the server may be tried again
 * @property {URL | null} [queue] the queue that can be joined
 */

export class Trouble extends Error {
  /** @override */
  name = "Trouble";

  /**
   * @param {TroubleKind} kind
   * @param {TroubleFacts} [facts]
   */
  constructor(kind, { detail = "", status = 0, retry_after_s = null, queue = null } = {}) {
    super(detail ? `${kind}: ${detail}` : kind);
    this.kind = kind;
    this.detail = detail;
    this.status = status;
    this.retry_after_s = retry_after_s;
    this.queue = queue;
  }
}

// These do not pass sooner when nothing is sent, so the wait does not grow. An expired token is tried
// at once: behind a router it was the host's, and the page's own is still valid. If not, the server
// refuses it, and the page asks for another one.
/** @type {Partial<Record<TroubleKind, number>>} */
const CONSTANT_WAIT_S = {
  "unknown-stream": 5,
  expired: 0,
  refused: 10,
  blocked: 6,
  undecodable: 10,
};

/**
 * Return how long to wait before the next attempt.
 *
 * @param {Trouble} trouble
 * @param {import("./backoff.js").Backoff} backoff
 * @returns {number | null} seconds, or null if another attempt is pointless
 */
export function waitAfter(trouble, backoff) {
  if (trouble.kind === "unsupported" || trouble.kind === "sign-in") return null;
  if (trouble.retry_after_s !== null) return trouble.retry_after_s;
  return CONSTANT_WAIT_S[trouble.kind] ?? backoff.next();
}

/**
 * Return the message of anything that was thrown.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
