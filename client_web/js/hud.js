// The numbers on screen. Given its elements; measures nothing itself.

const STAGE_WORDS = {
  wait: "Waiting for its turn",
  queue: "Behind other viewers",
  raster: "Drawing the mesh",
  warp: "Warping the cache",
  hand_over: "Between threads",
  encode: "Encoding",
};

const UNSEEN_MS = 0.05; // would be shown as 0.0

export class Hud {
  #fields;
  /** @type {HTMLElement} */ #stages;

  /** @param {HTMLElement} element holds one `[data-field]` for each number, and `[data-stages]` */
  constructor(element) {
    this.#fields = new Map(
      [...element.querySelectorAll("[data-field]")].map((field) => [
        field.getAttribute("data-field"),
        field,
      ]),
    );
    this.#stages = element.querySelector("[data-stages]");
  }

  /** @param {import("./telemetry.js").Measured} measured @param {boolean} live */
  show(measured, live) {
    for (const [name, text] of Object.entries(hudTexts(measured, live))) {
      const field = this.#fields.get(name);
      if (field && field.textContent !== text) field.textContent = text;
    }
    if (this.#stages.offsetParent !== null) this.#showStages(measured);
  }

  #showStages(measured) {
    const rows = stageRows(measured);
    const longest = Math.max(1, ...rows.map((row) => row.ms));
    this.#stages.replaceChildren(
      ...rows.map((row) => stageElement(this.#stages.ownerDocument, row, longest)),
    );
  }
}

/**
 * @param {import("./telemetry.js").Measured} measured @param {boolean} live
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
    bitrate: live ? megabits(bitrate_kbps / 1000) : "–",
  };
}

function megabits(mbps) {
  return mbps < 0.95 ? mbps.toFixed(2) : mbps.toFixed(1);
}

function latencyText({ latency_measurable, pose_to_photon_ms }) {
  if (!latency_measurable) return "n/a";
  return pose_to_photon_ms.p50 === null ? "–" : pose_to_photon_ms.p50.toFixed(0);
}

/**
 * Where the time from hand to screen goes: the server's stages, and what is left for the way there
 * and back, the browser's decoder and the wait for the screen.
 *
 * @param {import("./telemetry.js").Measured} measured
 * @returns {{label: string, ms: number}[]}
 */
export function stageRows({ stages_ms, pose_to_photon_ms }) {
  const rows = Object.entries(stages_ms)
    .filter(([, ms]) => ms >= UNSEEN_MS)
    .map(([name, ms]) => ({ label: STAGE_WORDS[name] ?? name, ms }));
  const spent = rows.reduce((total, row) => total + row.ms, 0);
  if (pose_to_photon_ms.p50 !== null && pose_to_photon_ms.p50 > spent) {
    rows.push({ label: "Network, decoding, screen", ms: pose_to_photon_ms.p50 - spent });
  }
  return rows;
}

function stageElement(document, { label, ms }, longest) {
  const row = document.createElement("li");
  const name = document.createElement("span");
  const bar = document.createElement("i");
  const value = document.createElement("b");
  name.textContent = label;
  value.textContent = `${ms.toFixed(1)} ms`;
  bar.style.setProperty("--share", String(ms / longest));
  row.append(name, bar, value);
  return row;
}
