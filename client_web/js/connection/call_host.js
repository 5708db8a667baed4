// Where a call is.

import { access } from "./access.js";
import { findHost } from "./host.js";

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
 * @throws {import("./trouble.js").Trouble} if the server cannot be reached or refuses
 */
export async function findCall(base, call, fetch = access.fetch) {
  const path = `v1/calls/${encodeURIComponent(call)}`;
  const { host, address, description } = await findHost(base, path, fetch);
  return { host, address, people: description.people };
}
