// Loads refined stills of a session.

import { access } from "./access.js";

/**
 * Load a still.
 *
 * @param {URL} session the session's address
 * @param {number} number what the frames name it
 * @param {AbortSignal} signal
 * @param {typeof globalThis.fetch} [fetch]
 * @returns {Promise<Blob | null>} null if the server no longer has it, because the face has moved
 */
export async function loadStill(session, number, signal, fetch = access.fetch) {
  const response = await fetch(new URL(`${session.href}/stills/${number}`), { signal });
  return response.ok ? response.blob() : null;
}
