// The bar of statistics. Writes to its elements, measures nothing itself.

/** @typedef {import("../timing/telemetry.js").Measurements} Measurements */

const NONE = "–";

export class Hud {
  #fields;

  /** @param {HTMLElement} element contains one `[data-field]` per number */
  constructor(element) {
    this.#fields = new Map(
      [...element.querySelectorAll("[data-field]")].map((field) => [
        field.getAttribute("data-field"),
        field,
      ]),
    );
  }

  /**
   * Show measurements.
   *
   * @param {Measurements} measured
   * @param {boolean} live
   */
  show(measured, live) {
    for (const [name, text] of Object.entries(hudTexts(measured, live))) {
      const field = this.#fields.get(name);
      if (field && field.textContent !== text) field.textContent = text;
    }
  }
}

/**
 * Return the text of each field.
 *
 * @param {Measurements} measured
 * @param {boolean} live
 * @returns {Record<string, string>} by field
 */
export function hudTexts(measured, live) {
  const { fps_shown, pose_to_photon_ms: latency, cache_age_ms: age, bitrate_kbps } = measured;
  return {
    fps: live ? fps_shown.toFixed(0) : NONE,
    latency: measured.latency_measurable ? milliseconds(latency.p50) : "n/a",
    latency_p95: latency.p95 === null ? "" : `p95 ${latency.p95.toFixed(0)}`,
    cache: milliseconds(age.p50),
    cache_p95: age.p95 === null ? "" : `p95 ${age.p95.toFixed(0)}`,
    bitrate: live && bitrate_kbps > 0 ? megabits(bitrate_kbps / 1000) : NONE,
  };
}

/** @param {number | null} ms */
function milliseconds(ms) {
  return ms === null ? NONE : ms.toFixed(0);
}

/** @param {number} mbps two significant digits are enough */
function megabits(mbps) {
  return mbps < 0.95 ? mbps.toFixed(2) : mbps.toFixed(1);
}
