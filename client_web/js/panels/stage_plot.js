// A plot of where latency is spent: one stacked column per frame over the last seconds.

import { RECENT_MS } from "../timing/frame_log.js";
import { STAGES } from "../timing/stages.js";

const SCALES_MS = [20, 40, 60, 100, 200, 400, 1000]; // few, so that the scale seldom changes
const USUAL_SHARE = 0.98; // a single slow frame must not change the scale: it is clipped
const HEADROOM = 1.05;
const COLUMN_PX = 2; // thinner columns flicker as they move
const LABEL_PX = 10;
const GUTTER_PX = 56; // for the labels of the scale, up to 1000 ms in a wide font

/**
 * @typedef {import("../timing/frame_log.js").FrameRow} FrameRow
 * @typedef {Pick<FrameRow, "presented_at_ms" | "stages">} Row
 * @typedef {{colour: string, from_ms: number, to_ms: number}} Part
 *
 * @typedef {object} Column
 * @property {number} x left edge, 0..1
 * @property {Part[]} parts from the bottom up
 */

/**
 * Stack the stages of each frame.
 *
 * @param {readonly Row[]} rows
 * @param {number} now_ms the right edge
 * @param {number} count of columns; of the frames that share one, the slowest is shown
 * @returns {{columns: Column[], top_ms: number}}
 */
export function stackColumns(rows, now_ms, count) {
  /** @type {Map<number, {total_ms: number, row: Row}>} */
  const slowest = new Map();
  for (const row of rows) {
    const share = 1 - (now_ms - row.presented_at_ms) / RECENT_MS;
    if (share < 0) continue;
    const index = Math.min(count - 1, Math.floor(share * count));
    const total_ms = total(row);
    if (total_ms > (slowest.get(index)?.total_ms ?? -1)) slowest.set(index, { total_ms, row });
  }
  const columns = [...slowest].map(([index, { row }]) => ({ x: index / count, parts: stack(row) }));
  const totals = [...slowest.values()].map(({ total_ms }) => total_ms).sort((a, b) => a - b);
  return { columns, top_ms: scaleFor(totals) };
}

/** @param {Row} row */
function total({ stages }) {
  return STAGES.reduce((sum, { id }) => sum + Math.max(0, stages[id] ?? 0), 0);
}

/** @param {Row} row */
function stack({ stages }) {
  /** @type {Part[]} */
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

/** @param {readonly number[]} totals ascending */
function scaleFor(totals) {
  const usual = totals[Math.floor(totals.length * USUAL_SHARE)] ?? 0;
  return SCALES_MS.find((top) => top >= usual * HEADROOM) ?? SCALES_MS[SCALES_MS.length - 1];
}

export class StagePlot {
  #canvas;
  #context;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
  }

  /**
   * Draw the plot.
   *
   * @param {readonly Row[]} rows
   * @param {number} now_ms
   */
  draw(rows, now_ms) {
    const context = this.#context;
    const scale = globalThis.devicePixelRatio || 1;
    const width = this.#canvas.clientWidth;
    const height = this.#canvas.clientHeight;
    if (!context || !width) return;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    context.scale(scale, scale);
    const count = Math.floor((width - GUTTER_PX) / COLUMN_PX);
    const { columns, top_ms } = stackColumns(rows, now_ms, count);
    drawScale(context, top_ms, width, height);
    for (const { x, parts } of columns) {
      const left = GUTTER_PX + COLUMN_PX * Math.round(x * count);
      drawColumn(context, left, parts, height, height / top_ms);
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} left
 * @param {readonly Part[]} parts
 * @param {number} height
 * @param {number} pxPerMs
 */
function drawColumn(context, left, parts, height, pxPerMs) {
  for (const { colour, from_ms, to_ms } of parts) {
    context.fillStyle = colour;
    context.fillRect(left, height - to_ms * pxPerMs, COLUMN_PX, (to_ms - from_ms) * pxPerMs);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} top_ms
 * @param {number} width
 * @param {number} height
 */
function drawScale(context, top_ms, width, height) {
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
