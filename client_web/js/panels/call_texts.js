// Texts of the page of a call.

import { sentence } from "./sentence.js";
import { describeSignIn } from "./sign_in_text.js";

/** @typedef {import("./publish_texts.js").PublishText} PublishText */

/** @type {Record<number, string>} by the status that the server closes with */
const TITLES = {
  400: "This call cannot be joined",
  404: "This avatar does not exist",
  409: "There is no free seat",
  410: "You were removed from the call",
  429: "The server has no room for another call",
};

/**
 * Describe why there is no seat.
 *
 * @param {import("../connection/trouble.js").Trouble} trouble
 * @param {string} call
 * @returns {PublishText}
 */
export function describeCallTrouble({ kind, status, detail }, call) {
  if (kind === "sign-in") {
    const need = "To take part, enter a token with the scopes publish and view.";
    return describeSignIn(
      detail,
      need,
      `--scope publish --scope view --stream ${call} --minutes 600`,
    );
  }
  if (kind === "unreachable" || kind === "lost") {
    return { title: "The server is not answering", detail: "Check your network and try again." };
  }
  if (kind === "ending") return { title: "The server is shutting down", detail: "Try again soon." };
  return { title: TITLES[status] ?? "The server refused the call", detail: sentence(detail) };
}

/**
 * Name people in one sentence.
 *
 * @param {readonly {name: string}[]} people
 * @returns {string}
 */
export function describePeople(people) {
  const names = people.map(({ name }) => name);
  if (names.length === 0) return "Nobody is here yet.";
  const last = names.pop();
  if (names.length === 0) return `${last} is here.`;
  return `${names.join(", ")} and ${last} are here.`;
}
