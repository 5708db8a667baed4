// Where a call is. Behind a router it is on one of many hosts, and browsers follow redirects of requests,
// but not of WebSockets.

import { access } from "./access.js";
import { refusal } from "./refusal.js";
import { Trouble } from "./trouble.js";

/**
 * @typedef {object} FoundCall
 * @property {URL} host the server's address
 * @property {URL} address of the call on that server
 * @property {{name: string}[]} people who are in it
 */

/**
 * Find the server that a call is on, or is to begin on.
 *
 * @param {URL} base the address of the page's server
 * @param {string} call
 * @param {typeof globalThis.fetch} [fetch]
 * @returns {Promise<FoundCall>}
 * @throws {Trouble} if the server cannot be reached or refuses
 */
export async function findCall(base, call, fetch = access.fetch) {
  const path = `v1/calls/${encodeURIComponent(call)}`;
  const requested = new URL(path, base);
  const response = await fetch(requested).catch(() => null);
  if (!response) throw new Trouble("unreachable");
  if (!response.ok) throw await refusal(response, requested);
  const address = new URL(response.url || requested);
  address.search = ""; // the redirect token, which can be used once
  access.hostFound(address, response.headers.get("Telewarp-Token"));
  const host = new URL(address.pathname.slice(0, -path.length) || "/", address);
  return { host, address, people: (await response.json()).people };
}
