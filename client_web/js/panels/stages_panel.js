// Where the time goes, unfolded: plot and table. Given its elements; measures nothing itself.

import { LATELY_MS, stagePercentiles } from "../timing/frame_log.js";
import { StagePlot } from "./stage_plot.js";
import { STAGES } from "../timing/stages.js";

const UNSEEN_MS = 0.05; // would be shown as 0.0
const EMPTY = {
  waiting: "Nothing has been measured yet.",
  unable: "This browser does not tell which frame it shows: only the server's share is known.",
};

export class StagesPanel {
  #element;
  #list;
  #note;
  #plot;

  /** @param {HTMLElement} element with `canvas`, `[data-stages]`, `[data-clock]` */
  constructor(element) {
    this.#element = element;
    this.#list = element.querySelector("[data-stages]");
    this.#note = element.querySelector("[data-clock]");
    this.#plot = new StagePlot(element.querySelector("canvas"));
  }

  /**
   * @param {import("../timing/telemetry.js").Measured} measured
   * @param {import("../timing/frame_log.js").FrameLog} log
   * @param {number} now_ms
   */
  show(measured, log, now_ms) {
    if (this.#element.offsetParent === null) return;
    const lately = log.since(now_ms - LATELY_MS);
    this.#plot.draw(lately, now_ms);
    const rows = tableRows(stagePercentiles(lately), measured);
    const longest = Math.max(1, ...rows.map((row) => row.p95 ?? row.p50));
    this.#list.replaceChildren(
      ...rows.map((row) => rowElement(this.#list.ownerDocument, row, longest)),
    );
    this.#note.textContent = note(measured, lately.length);
  }
}

/**
 * @param {Record<string, {p50: number, p95: number}>} summaries of frames seen whole
 * @param {import("../timing/telemetry.js").Measured} measured
 * @returns {{label: string, colour: string, p50: number, p95: number | null}[]} in a frame's order
 */
export function tableRows(summaries, { stages_ms }) {
  return STAGES.flatMap(({ id, words, colour }) => {
    const known = summaries[id] ?? { p50: stages_ms[id], p95: null };
    // Without any frame seen whole there still is what the server told.
    if (!summaries[id] && (Object.keys(summaries).length || known.p50 === undefined)) return [];
    if (Math.max(known.p50, known.p95 ?? 0) < UNSEEN_MS) return [];
    return [{ label: words, colour, p50: known.p50, p95: known.p95 }];
  });
}

function note({ clock, latency_measurable }, frames) {
  if (!latency_measurable) return EMPTY.unable;
  if (!frames) return EMPTY.waiting;
  if (!clock) return "";
  const error = clock.error_ms < 0.05 ? "0.1" : clock.error_ms.toFixed(1);
  return `Clocks compared by ping (${clock.round_trip_ms.toFixed(1)} ms): to and from the server ± ${error} ms`;
}

function rowElement(document, { label, colour, p50, p95 }, longest) {
  const row = document.createElement("li");
  const name = document.createElement("span");
  const bar = document.createElement("i");
  const usual = document.createElement("b");
  const slow = document.createElement("small");
  name.textContent = label;
  usual.textContent = p50.toFixed(1);
  slow.textContent = p95 === null ? "" : p95.toFixed(1);
  bar.style.setProperty("--share", String(Math.max(0, p50) / longest));
  bar.style.setProperty("--tail", String(Math.max(0, p95 ?? p50) / longest));
  bar.style.setProperty("--colour", colour);
  row.append(name, bar, usual, slow);
  return row;
}
