// The panel that shows where a frame's latency is spent: plot and table. Measures nothing itself.

import { RECENT_MS, stagePercentiles } from "../timing/frame_log.js";
import { STAGES } from "../timing/stages.js";
import { find } from "./dom.js";
import { StagePlot } from "./stage_plot.js";

const MIN_SHOWN_MS = 0.05; // less would be shown as 0.0
const NOTHING_TEXT = "Nothing has been measured yet.";
const UNMEASURABLE_TEXT =
  "This browser does not report which frame it displays: only the server's stages are known.";

/**
 * @typedef {import("../timing/telemetry.js").Measurements} Measurements
 * @typedef {{label: string, colour: string, p50: number, p95: number | null}} TableRow
 */

export class StagesPanel {
  #element;
  #list;
  #note;
  #network;
  #size;
  #plot;

  /**
   * @param {HTMLElement} element contains `canvas`, `[data-stages]`, `[data-clock]`, `[data-network]`,
   *   `[data-size]`
   */
  constructor(element) {
    this.#element = element;
    this.#list = find(element, "[data-stages]");
    this.#note = find(element, "[data-clock]");
    this.#network = find(element, "[data-network]");
    this.#size = find(element, "[data-size]");
    this.#plot = new StagePlot(find(element, "canvas"));
  }

  /**
   * Show measurements, if the panel is visible.
   *
   * @param {Measurements} measured
   * @param {import("../timing/frame_log.js").FrameLog} log
   * @param {number} now_ms
   */
  show(measured, log, now_ms) {
    if (this.#element.offsetParent === null) return;
    const recent = log.since(now_ms - RECENT_MS);
    this.#plot.draw(recent, now_ms);
    const rows = tableRows(stagePercentiles(recent), measured);
    const longest_ms = Math.max(1, ...rows.map((row) => row.p95 ?? row.p50));
    this.#list.replaceChildren(
      ...rows.map((row) => rowElement(this.#list.ownerDocument, row, longest_ms)),
    );
    this.#note.textContent = note(measured, recent.length);
    this.#network.textContent = networkText(measured);
    this.#size.textContent = sizeText(measured);
  }
}

/**
 * Return the rows of the table.
 *
 * @param {Record<string, {p50: number, p95: number}>} summaries of frames whose stages are known
 * @param {Pick<Measurements, "stages_ms">} measured
 * @returns {TableRow[]} in the order of `STAGES`
 */
export function tableRows(summaries, { stages_ms }) {
  return STAGES.flatMap(({ id, words, colour }) => {
    const known = summaries[id] ?? { p50: stages_ms[id], p95: null };
    // If no frame's stages are known, the server's medians are shown.
    if (!summaries[id] && (Object.keys(summaries).length || known.p50 === undefined)) return [];
    if (Math.max(known.p50, known.p95 ?? 0) < MIN_SHOWN_MS) return [];
    return [{ label: words, colour, p50: known.p50, p95: known.p95 }];
  });
}

/**
 * @param {Measurements} measured
 * @param {number} frames
 */
function note({ clock, latency_measurable }, frames) {
  if (!latency_measurable) return UNMEASURABLE_TEXT;
  if (!frames) return NOTHING_TEXT;
  if (!clock) return "";
  const error = clock.error_ms < MIN_SHOWN_MS ? "0.1" : clock.error_ms.toFixed(1);
  return `Times to and from the server: ± ${error} ms (clocks compared by a ping of ${clock.round_trip_ms.toFixed(1)} ms)`;
}

/**
 * Return what is known of the network.
 *
 * @param {Pick<Measurements, "network">} measured
 * @returns {string} empty where nothing is known
 */
export function networkText({ network }) {
  if (!network) return "";
  const { estimate_kbps, loss, queue_ms } = network;
  const carried = (estimate_kbps / 1000).toFixed(1);
  return `Network: ${carried} Mb/s, ${(loss * 100).toFixed(0)} % lost, ${queue_ms.toFixed(0)} ms queued`;
}

/**
 * Return why frames are smaller than the display needs.
 *
 * @param {Pick<Measurements, "lowered_from">} measured
 * @returns {string} empty where they are not
 */
export function sizeText({ lowered_from }) {
  if (lowered_from === null) return "";
  return `Smaller frames: the server is too busy for ${lowered_from} × ${lowered_from}`;
}

/**
 * @param {Document} document
 * @param {TableRow} row
 * @param {number} longest_ms of all rows
 */
function rowElement(document, { label, colour, p50, p95 }, longest_ms) {
  const row = document.createElement("li");
  const name = document.createElement("span");
  const bar = document.createElement("i");
  const median = document.createElement("b");
  const tail = document.createElement("small");
  name.textContent = label;
  median.textContent = p50.toFixed(1);
  tail.textContent = p95 === null ? "" : p95.toFixed(1);
  bar.style.setProperty("--share", String(Math.max(0, p50) / longest_ms));
  bar.style.setProperty("--tail", String(Math.max(0, p95 ?? p50) / longest_ms));
  bar.style.setProperty("--colour", colour);
  row.append(name, bar, median, tail);
  return row;
}
