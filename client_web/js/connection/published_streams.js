// The streams and avatars of the server, as a publisher needs them.

import { access } from "./access.js";
import { refusal } from "./refusal.js";
import { Trouble } from "./trouble.js";

const PORTRAIT_TIMEOUT_MS = 20_000;

/**
 * @typedef {import("./avatars.js").Avatar} Avatar
 *
 * @typedef {object} StreamDescription
 * @property {string} id
 * @property {string} avatar id of the avatar
 * @property {boolean} live whether a publisher holds the face at present
 * @property {number | null} last_seq
 * @property {number} viewers
 */

export class PublishedStreams {
  #base;
  #fetch;

  /**
   * @param {URL} base the server's address
   * @param {typeof globalThis.fetch} [fetch]
   */
  constructor(base, fetch = access.fetch) {
    this.#base = base;
    this.#fetch = fetch;
  }

  /** @returns {Promise<Avatar[]>} */
  async avatars() {
    return (await this.#call("v1/avatars")).json();
  }

  /**
   * @param {string} id
   * @returns {Promise<StreamDescription | null>} null if there is none
   */
  async find(id) {
    try {
      return await (await this.#call(`v1/streams/${encodeURIComponent(id)}`)).json();
    } catch (error) {
      if (error instanceof Trouble && error.kind === "unknown-stream") return null;
      throw error;
    }
  }

  /**
   * Create a stream.
   *
   * @param {string} id
   * @param {string} avatar
   * @returns {Promise<boolean>} false if the id is taken
   */
  async create(id, avatar) {
    try {
      await this.#call("v1/streams", { id, avatar });
      return true;
    } catch (error) {
      if (error instanceof Trouble && error.status === 409) return false;
      throw error;
    }
  }

  /**
   * Render an avatar at rest.
   *
   * @param {string} avatar id
   * @returns {Promise<Blob>} PNG
   */
  async portrait(avatar) {
    const signal = AbortSignal.timeout(PORTRAIT_TIMEOUT_MS);
    return (await this.#call("v1/render", { avatar }, signal)).blob();
  }

  /** @returns {Promise<boolean>} whether the server requires tokens */
  async needsToken() {
    // Without the page's own token.
    const answer = await globalThis.fetch(new URL("v1/avatars", this.#base)).catch(() => null);
    return answer?.status === 401;
  }

  /**
   * Tell whether a token can be handed out: it may watch the stream, and not publish to it.
   *
   * @param {string} token
   * @param {string} id
   * @returns {Promise<"view" | "publish" | "refused">}
   */
  async tokenKind(token, id) {
    const address = new URL(`v1/streams/${encodeURIComponent(id)}`, this.#base);
    const headers = { Authorization: `Bearer ${token}` };
    if (!(await globalThis.fetch(address, { headers })).ok) return "refused";
    // A body of no frames changes nothing, but shows whether the token may publish.
    const frames = new URL(`${address.pathname}/frames`, address);
    const body = { method: "POST", body: "[]", headers: { ...headers, ...JSON_TYPE } };
    return (await globalThis.fetch(frames, body)).status === 403 ? "view" : "publish";
  }

  /**
   * @param {string} path
   * @param {object} [body] POSTs it
   * @param {AbortSignal} [signal]
   */
  async #call(path, body, signal) {
    const address = new URL(path, this.#base);
    const posted = body && { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body) };
    const response = await this.#fetch(address, { ...posted, signal }).catch(() => null);
    if (!response) throw new Trouble("unreachable");
    if (!response.ok) throw await refusal(response, address);
    return response;
  }
}

const JSON_TYPE = { "Content-Type": "application/json" };
