// Sends the video of a person to the server, and asks how far the avatar is.

import { access } from "./access.js";
import { refusal } from "./refusal.js";
import { Trouble } from "./trouble.js";

/**
 * @typedef {object} AvatarJob
 * @property {string} id
 * @property {"uploading" | "waiting" | "running" | "done" | "failed"} state
 * @property {number | null} position of a waiting job
 * @property {string} stage
 * @property {number} stage_index
 * @property {number} stages
 * @property {number} fraction of the stage, 0..1
 * @property {string} message
 * @property {string | null} avatar id of the finished avatar
 * @property {string | null} error why it has failed
 */

export class AvatarJobs {
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

  /** Ask whether this page may add avatars; throws the `Trouble` that keeps it from it. */
  async check() {
    await this.#call("v1/avatars/jobs");
  }

  /**
   * Upload a video.
   *
   * @param {Blob} video
   * @param {{name: string, consent: string}} person
   * @param {AbortSignal} signal ends the upload
   * @returns {Promise<AvatarJob>}
   */
  async add(video, person, signal) {
    const headers = {
      "Content-Type": video.type.split(";")[0],
      "Telewarp-Avatar": asciiJson(person),
    };
    const answer = await this.#call("v1/avatars", { method: "POST", headers, body: video, signal });
    return answer.json();
  }

  /**
   * @param {string} id
   * @returns {Promise<AvatarJob>}
   */
  async get(id) {
    return (await this.#call(`v1/avatars/jobs/${encodeURIComponent(id)}`)).json();
  }

  /**
   * End a job; the server deletes the video.
   *
   * @param {string} id
   */
  async remove(id) {
    await this.#call(`v1/avatars/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  /**
   * @param {string} path
   * @param {RequestInit} [options]
   */
  async #call(path, options) {
    const address = new URL(path, this.#base);
    const response = await this.#fetch(address, options).catch((error) => {
      throw error.name === "AbortError" ? error : new Trouble("unreachable");
    });
    if (!response.ok) throw await refusal(response, address);
    return response;
  }
}

/**
 * Return JSON for a header, which holds ASCII only.
 *
 * @param {object} value
 */
export function asciiJson(value) {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
