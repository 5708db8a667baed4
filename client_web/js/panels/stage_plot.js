// A small live picture of where the time goes: a stacked column per frame over the last seconds.

import { LATELY_MS } from "../timing/frame_log.js";
import { STAGES } from "../timing/stages.js";

const TOPS_MS = [20, 40, 60, 100, 200, 400, 1000]; // few, so that the scale seldom jumps
const LABEL_PX = 10;
const GUTTER_PX = 46; // for the scale

/**
 * @typedef {object} Column
 * @property {number} x left edge, 0..1
 * @property {{colour: string, from_ms: number, to_ms: number}[]} parts from the bottom up
 */

/**
 * @param {readonly import("../timing/frame_log.js").FrameRow[]} rows
 * @param {number} now_ms the right edge
 * @param {number} count of columns; of the frames that share one, the slowest is shown
 * @returns {{columns: Column[], top_ms: number}}
 */
export function stackColumns(rows, now_ms, count) {
  /** @type {Map<number, {total_ms: number, row: import("../timing/frame_log.js").FrameRow}>} */
  const slowest = new Map();
  for (const row of rows) {
    const share = 1 - (now_ms - row.presented_at_ms) / LATELY_MS;
    if (share < 0) continue;
    const index = Math.min(count - 1, Math.floor(share * count));
    const total_ms = total(row);
    if (total_ms > (slowest.get(index)?.total_ms ?? -1)) slowest.set(index, { total_ms, row });
  }
  const columns = [...slowest].map(([index, { row }]) => ({ x: index / count, parts: stack(row) }));
  const totals = [...slowest.values()].map(({ total_ms }) => total_ms).sort((a, b) => a - b);
  return { columns, top_ms: niceTop(totals) };
}

function total({ stages }) {
  return STAGES.reduce((sum, { id }) => sum + Math.max(0, stages[id] ?? 0), 0);
}

function stack({ stages }) {
  const parts = [];
  let from_ms = 0;
  for (const { id, colour } of STAGES) {
    const ms = stages[id] ?? 0;
    if (ms <= 0) continue;
    parts.push({ colour, from_ms, to_ms: from_ms + ms });
    from_ms += ms;
  }
  return parts;
}

/** One hiccup must not press all the others flat: it runs out of the picture. */
function niceTop(totals) {
  const usual = totals[Math.floor(totals.length * 0.98)] ?? 0;
  return TOPS_MS.find((top) => top >= usual * 1.05) ?? TOPS_MS.at(-1);
}

export class StagePlot {
  #canvas;
  #context;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
  }

  /** @param {readonly import("../timing/frame_log.js").FrameRow[]} rows @param {number} now_ms */
  draw(rows, now_ms) {
    const scale = globalThis.devicePixelRatio || 1;
    const width = this.#canvas.clientWidth;
    const height = this.#canvas.clientHeight;
    if (!this.#context || !width) return;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    this.#context.scale(scale, scale);
    // Two pixels wide: finer ones shimmer as they move on.
    const count = Math.floor((width - GUTTER_PX) / 2);
    const { columns, top_ms } = stackColumns(rows, now_ms, count);
    this.#drawScale(top_ms, width, height);
    for (const { x, parts } of columns)
      this.#drawColumn(GUTTER_PX + 2 * Math.round(x * count), parts, height, height / top_ms);
  }

  #drawColumn(left, parts, height, pxPerMs) {
    for (const { colour, from_ms, to_ms } of parts) {
      this.#context.fillStyle = colour;
      this.#context.fillRect(left, height - to_ms * pxPerMs, 2, (to_ms - from_ms) * pxPerMs);
    }
  }

  #drawScale(top_ms, width, height) {
    const context = this.#context;
    context.font = `${LABEL_PX}px system-ui, sans-serif`;
    context.textAlign = "right";
    context.textBaseline = "top";
    for (const ms of [top_ms, top_ms / 2]) {
      const y = Math.round(height - (ms / top_ms) * height);
      context.fillStyle = "rgb(255 255 255 / 0.12)";
      context.fillRect(GUTTER_PX, y, width - GUTTER_PX, 1);
      context.fillStyle = "#a3a5ad";
      context.fillText(`${ms} ms`, GUTTER_PX - 6, Math.max(0, y - LABEL_PX / 2));
    }
  }
}
