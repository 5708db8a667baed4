// Fetches the avatar of the stream and fits the page to it.

import { fetchAvatar } from "../connection/avatars.js";

const DEFAULT_STREAM = "demo";

/**
 * @typedef {import("../connection/avatars.js").Avatar} Avatar
 *
 * @typedef {object} AvatarTargets
 * @property {Pick<import("../input/orbit.js").Orbit, "setHome">} orbit
 * @property {Pick<import("../input/face.js").Face, "fit">} face
 * @property {Pick<import("../panels/controls.js").Controls, "setNames">} controls
 * @property {{fov_y_rad: number}} late
 * @property {Pick<import("../input/head_window.js").HeadWindow, "setHome">} headWindow
 * @property {HTMLElement} streamName
 * @property {() => void} onReady called when everything fits, also if the server does not answer
 */

export class AvatarSetup {
  #stream;
  #fetch;
  #targets;

  /**
   * @param {string} stream
   * @param {URL} base the server's address
   * @param {AbortSignal} signal
   * @param {AvatarTargets} targets
   * @param {() => Promise<Avatar | null>} [fetch]
   */
  constructor(stream, base, signal, targets, fetch = () => fetchAvatar(stream, base, { signal })) {
    this.#stream = stream;
    this.#fetch = fetch;
    this.#targets = targets;
  }

  /** Fetch the avatar and fit the page to it. */
  async load() {
    const { orbit, face, controls, late, headWindow, streamName, onReady } = this.#targets;
    const avatar = await this.#fetch();
    if (avatar?.eye_position) orbit.setHome(avatar.eye_position);
    if (avatar?.fov_y_rad) late.fov_y_rad = avatar.fov_y_rad;
    if (avatar?.eye_position) headWindow.setHome(avatar.eye_position, avatar.fov_y_rad);
    if (avatar?.expression_names) {
      controls.setNames(avatar.expression_names, avatar.expression_range);
      face.fit(avatar.expression_names, avatar.expression_range);
    }
    const isDefault = this.#stream === DEFAULT_STREAM;
    streamName.textContent = avatar?.name && isDefault ? avatar.name : this.#stream;
    onReady();
  }
}
