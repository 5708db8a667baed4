// The calibration of the head-tracked view on this screen, stored by the browser.

const KEY = "telewarp.screen";

/**
 * @typedef {object} Screen
 * @property {number} pixel_m side of a CSS pixel, metres
 * @property {[number, number]} straight position of eyes in front of the middle, right and up of the
 *   camera, metres
 */

/** @returns {Partial<Screen>} what is known */
export function recallScreen() {
  try {
    const { pixel_m, straight } = JSON.parse(globalThis.localStorage?.getItem(KEY) ?? "{}");
    const known = [pixel_m, ...(straight ?? [])];
    const valid = known.length === 3 && known.every(Number.isFinite) && pixel_m > 0;
    return valid ? { pixel_m, straight } : {};
  } catch {
    return {}; // the browser forbids it, or it is no JSON
  }
}

/** @param {Screen} screen */
export function rememberScreen(screen) {
  try {
    globalThis.localStorage?.setItem(KEY, JSON.stringify(screen));
  } catch {
    // The browser forbids it: the screen is calibrated again the next time.
  }
}
