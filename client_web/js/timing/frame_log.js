// What is known of each frame shown lately: percentiles by stage, and a table to take away.

import { STAGES } from "./stages.js";
import { rank } from "./percentiles.js";

const LONGEST = 18_000; // five minutes at 60 a second, some 10 MB
export const LATELY_MS = 10_000;

/**
 * @typedef {object} FrameRow
 * @property {number} presented_at_ms this page's clock, as all of them
 * @property {number} rtp_timestamp
 * @property {number | null} view_seq
 * @property {number | null} mesh_seq
 * @property {string | null} moved what it is the first frame to show: `view`, `mesh` or nothing
 * @property {number | null} moved_at_ms when that came to be
 * @property {number | null} sent_at_ms when it was sent
 * @property {number | null} pose_to_photon_ms
 * @property {number | null} cache_age_ms
 * @property {number | null} clock_offset_ms the server's clock less this page's
 * @property {number | null} clock_error_ms by which the two ways through the network may be off
 * @property {import("./stages.js").StageTimes} stages
 */

const BEFORE = [
  "presented_at_ms",
  "rtp_timestamp",
  "view_seq",
  "mesh_seq",
  "moved",
  "moved_at_ms",
  "sent_at_ms",
  "pose_to_photon_ms",
];
const AFTER = ["cache_age_ms", "clock_offset_ms", "clock_error_ms"];

export class FrameLog {
  /** @type {FrameRow[]} */ #rows = [];

  /** @param {FrameRow} row */
  add(row) {
    this.#rows.push(row);
    // Rarely and many at a time, since every removal moves all the others.
    if (this.#rows.length > LONGEST * 1.1) this.#rows.splice(0, this.#rows.length - LONGEST);
  }

  clear() {
    this.#rows = [];
  }

  get length() {
    return this.#rows.length;
  }

  /** @param {number} since_ms @returns {FrameRow[]} those on screen since, oldest first */
  since(since_ms) {
    const before = this.#rows.findLastIndex((row) => row.presented_at_ms < since_ms);
    return this.#rows.slice(before + 1);
  }

  /** @returns {string} a table with a row per frame, as CSV (RFC 4180); what is unknown is empty */
  toCsv() {
    const lines = [[...BEFORE, ...STAGES.map(({ id }) => `${id}_ms`), ...AFTER].join(",")];
    for (const row of this.#rows) {
      const cells = [
        ...BEFORE.map((name) => row[name]),
        ...STAGES.map(({ id }) => row.stages[id]),
        ...AFTER.map((name) => row[name]),
      ];
      lines.push(cells.map(cell).join(","));
    }
    return `${lines.join("\r\n")}\r\n`;
  }
}

/** Only numbers and our own words come here, so nothing needs quotes. */
function cell(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "number" ? String(Math.round(value * 100) / 100) : value;
}

/**
 * @param {readonly FrameRow[]} rows
 * @returns {Record<string, {p50: number, p95: number, count: number}>} by stage, in a frame's order;
 *   without those that no frame knows
 */
export function stagePercentiles(rows) {
  const summaries = {};
  for (const { id } of STAGES) {
    const known = rows.map((row) => row.stages[id]).filter(Number.isFinite);
    if (!known.length) continue;
    known.sort((a, b) => a - b);
    summaries[id] = { p50: rank(known, 0.5), p95: rank(known, 0.95), count: known.length };
  }
  return summaries;
}
