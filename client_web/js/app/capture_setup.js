// Opens the page that records a person for an avatar, where the page's address asks for it.

import { timers } from "./browser.js";

/**
 * Open the page. Its modules are loaded only then.
 *
 * @param {Document} page
 * @param {URL} base the server's address
 * @param {string} name of the person, "" for none yet
 */
export async function openCapture(page, base, name) {
  const { Capturing } = await import("./capturing.js");
  const capturing = new Capturing(page, base, timers.now);
  globalThis.addEventListener("pagehide", () => capturing.close());
  capturing.open(name);
}
