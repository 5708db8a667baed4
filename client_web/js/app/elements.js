// The elements of the page that show frames, and messages about them.

import { find } from "../panels/dom.js";

/**
 * @typedef {object} FrameElements
 * @property {HTMLElement} body
 * @property {HTMLVideoElement} video
 * @property {HTMLCanvasElement} jpeg
 * @property {HTMLCanvasElement} still
 * @property {HTMLCanvasElement} late
 * @property {HTMLCanvasElement} refined
 * @property {HTMLCanvasElement} clear shows the head over nothing
 * @property {HTMLElement} frame the square around them
 * @property {HTMLElement} note explains the JPEG fallback
 * @property {HTMLElement} errorLine shows what cannot be shown, and the server's error messages
 */

/**
 * Find the elements.
 *
 * @param {Document} page
 * @returns {FrameElements}
 */
export function frameElements(page) {
  return {
    body: page.body,
    video: find(page, "video"),
    jpeg: find(page, "#jpeg"),
    still: find(page, "#still"),
    late: find(page, "#late"),
    refined: find(page, "#refined"),
    clear: find(page, "#clear"),
    frame: find(page, ".frame"),
    note: find(page, "#way"),
    errorLine: find(page, "#server-error"),
  };
}
