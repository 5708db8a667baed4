// The description of the avatar that a stream shows.

import { access } from "./access.js";

/**
 * @typedef {object} Avatar
 * @property {string} id
 * @property {string} name
 * @property {string[]} expression_names
 * @property {[number, number]} expression_range smallest and largest value of a coefficient
 * @property {[number, number, number]} eye_position metres
 * @property {number} fov_y_rad
 */

/**
 * Fetch the avatar of a stream.
 *
 * @param {string} stream
 * @param {URL} base the server's address
 * @param {{signal?: AbortSignal, fetch?: typeof globalThis.fetch}} [options]
 * @returns {Promise<Avatar | null>} null if the server does not answer: the video can be shown
 *   without the description
 */
export async function fetchAvatar(stream, base, { signal, fetch = access.fetch } = {}) {
  /** @param {string} path */
  const read = async (path) => {
    const response = await fetch(new URL(path, base), { signal });
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return response.json();
  };
  try {
    const { avatar } = await read(`v1/streams/${encodeURIComponent(stream)}`);
    return await read(`v1/avatars/${encodeURIComponent(avatar)}`);
  } catch {
    return null;
  }
}
