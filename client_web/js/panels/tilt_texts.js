// Texts of the panel for a phone without orientation sensors.

/** @typedef {import("./publish_texts.js").PublishText} PublishText */

/** @type {Record<"insecure" | "denied" | "silent", PublishText>} */
const TEXTS = {
  insecure: {
    title: "The sensors need a secure address",
    detail: "Browsers allow them only to pages under https://.",
  },
  denied: {
    title: "The sensors are blocked",
    detail:
      "Allow motion and orientation for this page and try again. On an iPhone, close the page and open it again to be asked.",
  },
  silent: {
    title: "This device does not report its orientation",
    detail: "It has no sensors for that, or the browser or an embedding page blocks them.",
  },
};

/**
 * Describe why the view cannot follow the tilt of the device.
 *
 * @param {{kind: keyof typeof TEXTS}} trouble
 * @returns {PublishText}
 */
export function describeSensorTrouble({ kind }) {
  return TEXTS[kind];
}
