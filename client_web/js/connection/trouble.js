// Everything that keeps the picture away, and how to say it to a person.

/**
 * @typedef {"unsupported" | "unreachable" | "unknown-stream" | "full" | "ending" | "not-ready" | "sign-in" | "refused"
 *   | "blocked" | "lost" | "stalled" | "undecodable"} TroubleKind
 */

export class Trouble extends Error {
  name = "Trouble";

  /**
   * @param {TroubleKind} kind
   * @param {{detail?: string, status?: number, retry_after_s?: number | null, queue?: URL | null}} [facts]
   *   `queue`: where one may wait for a place
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

const STEADY_WAIT_S = { "unknown-stream": 5, refused: 10, blocked: 6, undecodable: 10 };

/**
 * How long to wait before the next try.
 *
 * @param {Trouble} trouble @param {import("./backoff.js").Backoff} backoff
 * @returns {number | null} seconds, or null if trying again is no use
 */
export function waitAfter(trouble, backoff) {
  if (trouble.kind === "unsupported" || trouble.kind === "sign-in") return null;
  if (trouble.retry_after_s !== null) return trouble.retry_after_s;
  return STEADY_WAIT_S[trouble.kind] ?? backoff.next();
}

/**
 * @param {Trouble} trouble
 * @param {{stream: string, host: string}} place
 * @returns {{title: string, detail: string}}
 */
export function describeTrouble(trouble, { stream, host }) {
  switch (trouble.kind) {
    case "unsupported":
      return {
        title: "This browser cannot show it",
        detail:
          "Live video needs WebRTC, and here it is missing or switched off. A current Chrome, Edge, Firefox or Safari will do.",
      };
    case "unreachable":
      return {
        title: "The server is not answering",
        detail: `Nothing answers at ${host}. It may be restarting, or the network may be down.`,
      };
    case "unknown-stream":
      return {
        title: `There is no stream called “${stream}”`,
        detail: "It may not have started yet. This page is watching for it.",
      };
    case "full":
      return {
        title: "No free seat just now",
        detail: sentence(trouble.detail) || "The server is showing as many faces as it can.",
      };
    case "ending":
      return {
        title: "The server is going down",
        detail: "It may be back in a moment. This page is watching for it.",
      };
    case "not-ready":
      return {
        title: "The server is not ready yet",
        detail: sentence(trouble.detail) || "It is still starting.",
      };
    case "sign-in":
      return {
        title: trouble.detail ? "This token does not fit" : "Sign in to watch",
        detail:
          sentence(trouble.detail) ||
          "This face is shown to those who have a token. Ask whoever runs the server for one.",
      };
    case "refused":
      return {
        title: trouble.status >= 500 ? "Something is wrong with the server" : "The server said no",
        detail: sentence(trouble.detail) || `It answered with status ${trouble.status}.`,
      };
    case "blocked":
      return {
        title: "The video cannot get through",
        detail: `The server at ${host} answers, but its video does not arrive. A firewall, VPN or browser setting may be blocking WebRTC (UDP).`,
      };
    case "lost":
      return { title: "The connection was lost", detail: "Getting it back." };
    case "stalled":
      return {
        title: "The picture has stopped",
        detail: "No video has come for a few seconds. Reconnecting.",
      };
    case "undecodable":
      return {
        title: "This browser cannot decode the video",
        detail:
          "Video is arriving, but no picture comes out of it. Another browser, or hardware decoding switched off, may help.",
      };
  }
}

/** The server's own words, written as a sentence. */
function sentence(words) {
  const text = words.trim();
  return text && text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
