// Claims a stream for publishing: creates it, or finds its present publisher.

/**
 * @typedef {object} Conflict
 * @property {string} stream
 * @property {"live" | "other-avatar"} kind live: a publisher holds it at present
 * @property {string} avatar that the stream shows
 */

/**
 * Claim a stream.
 *
 * @param {Pick<import("../connection/published_streams.js").PublishedStreams,
 *   "create" | "find">} streams
 * @param {string} stream
 * @param {string} avatar
 * @returns {Promise<Conflict | null>} null if it is ready
 * @throws {import("../connection/trouble.js").Trouble} if the server cannot be reached or refuses
 */
export async function claimStream(streams, stream, avatar) {
  if (await streams.create(stream, avatar)) return null;
  const existing = await streams.find(stream);
  // It was deleted in between: it has no publisher.
  if (!existing) return claimStream(streams, stream, avatar);
  if (existing.live) return { stream, kind: "live", avatar: existing.avatar };
  if (existing.avatar !== avatar) return { stream, kind: "other-avatar", avatar: existing.avatar };
  return null;
}
