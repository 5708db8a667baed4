// The server that has something. Behind a router it is one of many hosts, and browsers follow redirects of
// requests, but not of WebSockets.

import { access } from "./access.js";
import { refusal } from "./refusal.js";
import { Trouble } from "./trouble.js";

/**
 * @typedef {object} Found
 * @property {URL} host the address of the server that has it
 * @property {URL} address of it on that server
 * @property {any} description
 */

/**
 * Find the server that has something.
 *
 * @param {URL} base the address of the page's server
 * @param {string} path of its description, relative to the server
 * @param {typeof globalThis.fetch} [fetch]
 * @returns {Promise<Found>}
 * @throws {Trouble} if the server cannot be reached or refuses
 */
export async function findHost(base, path, fetch = access.fetch) {
  const requested = new URL(path, base);
  const response = await fetch(requested).catch(() => null);
  if (!response) throw new Trouble("unreachable");
  if (!response.ok) throw await refusal(response, requested);
  const address = new URL(response.url || requested);
  address.search = ""; // the redirect token, which can be used once
  access.hostFound(address, response.headers.get("Telewarp-Token"));
  const host = new URL(address.pathname.slice(0, -path.length) || "/", address);
  return { host, address, description: await response.json() };
}
