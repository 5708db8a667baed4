// What the server tells of the avatar behind a stream.

import { access } from "./access.js";

/**
 * @typedef {object} Avatar
 * @property {string} id
 * @property {string} name
 * @property {string[]} expression_names
 * @property {[number, number]} expression_range least and greatest value of a coefficient
 * @property {[number, number, number]} eye_position metres
 * @property {number} fov_y_rad
 */

/**
 * @param {string} stream
 * @param {URL} base the server's address
 * @param {{signal?: AbortSignal, fetch?: typeof globalThis.fetch}} [options]
 * @returns {Promise<Avatar | null>} null if the server does not tell, for the picture matters more
 */
export async function fetchAvatar(stream, base, { signal, fetch = access.fetch } = {}) {
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
