// The numbers on screen. Given its elements; measures nothing itself.

export class Hud {
  #fields;

  /** @param {HTMLElement} element holds one `[data-field]` for each number */
  constructor(element) {
    this.#fields = new Map(
      [...element.querySelectorAll("[data-field]")].map((field) => [
        field.getAttribute("data-field"),
        field,
      ]),
    );
  }

  /** @param {import("../timing/telemetry.js").Measured} measured @param {boolean} live */
  show(measured, live) {
    for (const [name, text] of Object.entries(hudTexts(measured, live))) {
      const field = this.#fields.get(name);
      if (field && field.textContent !== text) field.textContent = text;
    }
  }
}

/**
 * @param {import("../timing/telemetry.js").Measured} measured @param {boolean} live
 * @returns {Record<string, string>}
 */
export function hudTexts(measured, live) {
  const { fps_shown, pose_to_photon_ms: latency, cache_age_ms: age, bitrate_kbps } = measured;
  return {
    fps: live ? fps_shown.toFixed(0) : "–",
    latency: latencyText(measured),
    latency_p95: latency.p95 === null ? "" : `p95 ${latency.p95.toFixed(0)}`,
    cache: age.p50 === null ? "–" : age.p50.toFixed(0),
    cache_p95: age.p95 === null ? "" : `p95 ${age.p95.toFixed(0)}`,
    bitrate: live && bitrate_kbps > 0 ? megabits(bitrate_kbps / 1000) : "–",
  };
}

function megabits(mbps) {
  return mbps < 0.95 ? mbps.toFixed(2) : mbps.toFixed(1);
}

function latencyText({ latency_measurable, pose_to_photon_ms }) {
  if (!latency_measurable) return "n/a";
  return pose_to_photon_ms.p50 === null ? "–" : pose_to_photon_ms.p50.toFixed(0);
}
