// The stream that the page's address names, or that the page publishes itself.

import { access } from "../connection/access.js";
import { openCapture } from "./capture_setup.js";
import { openPublishing } from "./publish_setup.js";

const DEFAULT_STREAM = "demo";

/**
 * @typedef {object} PageStream
 * @property {URL} base the server's address
 * @property {string} stream
 * @property {URL} endpoint where it is watched by WHEP
 * @property {string | null} background what to show behind the head; null for the avatar's own
 * @property {import("./publishing.js").Publishing | null} publishing null on a viewer's page
 * @property {() => void} readToken takes the token from the page's address, if there is one
 */

/**
 * Read the page's address; on a page that publishes, wait until it is live.
 *
 * @param {Document} page
 * @returns {Promise<PageStream>}
 */
export async function openStream(page) {
  const base = new URL(".", location.href);
  const query = new URLSearchParams(location.search);
  const readToken = () => access.takeFrom(location, history);
  readToken();
  const person = query.get("capture");
  if (person !== null) {
    await openCapture(page, base, person);
    await new Promise(() => {}); // that page watches no stream
  }
  const publishing = await openPublishing(page, base, query.get("publish"));
  const stream = (await publishing?.live) ?? (query.get("stream") || DEFAULT_STREAM);
  const endpoint = new URL(`v1/streams/${encodeURIComponent(stream)}/whep`, base);
  // A publisher sees the avatar as most viewers do, beside the publish panel.
  const background = publishing ? null : query.get("background");
  return { base, stream, endpoint, background, publishing, readToken };
}
