// Messages of the page that depend on what happened. Everything else is in index.html.

import { sentence } from "./sentence.js";

/** @typedef {import("../connection/trouble.js").Trouble} Trouble */
/** @typedef {{stream: string, host: string}} Source stream of the page, and its server */
/** @typedef {{title: string, detail: string}} Text */

export const DRAINING_TEXT =
  "The server is shutting down soon. This page looks for another server and reconnects automatically.";
export const JPEG_TEXT = "WebRTC video is blocked here. Showing JPEG images instead.";
/** The end of the server's words about a stream whose avatar was deleted. */
const AVATAR_DELETED = "its avatar was deleted";
/** Names that streams can have: the server refuses others. */
const STREAM_NAME = /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$/;
export const NO_WEBGL_TEXT = "Following your movement needs WebGL";
export const NO_TRANSPARENCY_TEXT =
  "A transparent background needs WebGL and a current browser. Please update it, or switch on hardware acceleration in its settings.";

/**
 * @param {string} stream
 * @param {string} detail the server's words
 */
function whyUnknown(stream, detail) {
  if (!STREAM_NAME.test(stream)) {
    return "Names of streams have 1 to 64 letters, digits, “-”, “_” and “.”. Please check the address of this page.";
  }
  return detail.endsWith(AVATAR_DELETED)
    ? "Its avatar was deleted."
    : "It may not have started yet. This page keeps looking for it.";
}

/**
 * Describe a position in the queue.
 *
 * @param {number} position 1 for the next; 0: it is this viewer's turn
 * @returns {Text}
 */
export function describeQueuePosition(position) {
  if (position === 0) return { title: "It is your turn", detail: "Connecting now." };
  return {
    title: position === 1 ? "You are next in the queue" : `You are number ${position} in the queue`,
    detail: "The server is full. Keep this page open: it connects when it is your turn.",
  };
}

/**
 * Describe what keeps the video away.
 *
 * @param {Trouble} trouble
 * @param {Source} source
 * @returns {Text}
 */
export function describeTrouble(trouble, { stream, host }) {
  switch (trouble.kind) {
    case "unsupported":
      return {
        title: "This browser is not supported",
        detail:
          "Live video needs WebRTC, which is missing or switched off. Please use a current version of Chrome, Edge, Firefox or Safari.",
      };
    case "unreachable":
      return {
        title: "The server is not answering",
        detail: `There is no answer from ${host}. The server may be restarting, or the network may be down.`,
      };
    case "unknown-stream":
      return {
        title: `There is no stream called “${stream}”`,
        detail: whyUnknown(stream, trouble.detail),
      };
    case "full":
      return {
        title: "The server is full",
        detail: sentence(trouble.detail) || "It serves as many viewers as it can.",
      };
    case "ending":
      return {
        title: "The server is shutting down",
        detail: "It may be back soon. This page keeps trying to connect.",
      };
    case "not-ready":
      return {
        title: "The server is not ready yet",
        detail: sentence(trouble.detail) || "It is still starting.",
      };
    case "sign-in":
      return {
        title: trouble.detail ? "This token is not accepted" : "Sign in to watch",
        detail:
          sentence(trouble.detail) ||
          "You need a token to watch this stream. Please ask the operator of the server for one.",
      };
    case "expired":
      return { title: "The token has expired", detail: "Asking the server again." };
    case "refused":
      return {
        title:
          trouble.status >= 500 ? "The server has a problem" : "The server refused the request",
        detail: sentence(trouble.detail) || `It answered with status ${trouble.status}.`,
      };
    case "blocked":
      return {
        title: "The video is blocked",
        detail: `The server at ${host} answers, but its video does not arrive. A firewall, a VPN or a browser setting may block WebRTC (UDP).`,
      };
    case "lost":
      return { title: "The connection was lost", detail: "Reconnecting." };
    case "stalled":
      return {
        title: "The video has stopped",
        detail: "No video has arrived for a few seconds. Reconnecting.",
      };
    case "undecodable":
      return {
        title: "This browser cannot decode the video",
        detail:
          "Video arrives but cannot be displayed. Please try another browser, or switch off hardware decoding.",
      };
  }
}
