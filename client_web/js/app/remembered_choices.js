// The user's last choices, stored by the browser.

const KEY = "telewarp.publish";

/**
 * @typedef {object} Choices
 * @property {string} stream
 * @property {string} name in calls
 * @property {string} avatar
 * @property {boolean} mirrored
 * @property {boolean} mesh whether the tracked mesh is shown
 * @property {string} [camera] device id
 * @property {string} microphone device id, "" for the default, or `NO_MICROPHONE`
 */

/** @type {Choices} */
const DEFAULTS = {
  stream: "me",
  name: "",
  avatar: "default",
  mirrored: true,
  mesh: true,
  microphone: "",
};

/** @returns {Choices} */
export function recallChoices() {
  try {
    return { ...DEFAULTS, ...JSON.parse(globalThis.localStorage?.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS }; // the browser forbids it, or another version wrote it
  }
}

/** @param {Choices} choices */
export function rememberChoices(choices) {
  try {
    globalThis.localStorage?.setItem(KEY, JSON.stringify(choices));
  } catch {
    // The browser forbids it: the defaults are offered the next time.
  }
}
