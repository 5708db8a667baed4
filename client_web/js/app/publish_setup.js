// Opens the panel that goes live from a camera, where the page's address asks for it.

import { timers } from "./browser.js";

/**
 * Open the panel. Its modules are loaded only then.
 *
 * @param {Document} page
 * @param {URL} base the server's address
 * @param {string | null} name of the stream, "" for none yet; null on a viewer's page
 * @returns {Promise<import("./publishing.js").Publishing | null>}
 */
export async function openPublishing(page, base, name) {
  if (name === null) return null;
  const { Publishing } = await import("./publishing.js");
  const publishing = new Publishing(page, base, name, timers.now);
  globalThis.addEventListener("pagehide", () => publishing.close());
  void publishing.open();
  return publishing;
}
