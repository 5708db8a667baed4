// Measurements of each frame of the last minutes: percentiles by stage, and a CSV table.

import { ascending, rank } from "./percentiles.js";
import { STAGES } from "./stages.js";

const MAX_ROWS = 18_000; // five minutes at 60 per second, about 10 MB
const SPARE_SHARE = 1.1; // removing rows moves all others, so many are removed at a time
const CSV_DECIMALS = 100;

/** How far back the stages panel looks. */
export const RECENT_MS = 10_000;

/**
 * @typedef {object} FrameRow all times on this page's clock
 * @property {number} presented_at_ms
 * @property {number} rtp_timestamp
 * @property {number | null} view_seq
 * @property {number | null} mesh_seq
 * @property {string | null} moved what the frame is the first to show: `view`, `mesh` or nothing
 * @property {number | null} moved_at_ms when that became current
 * @property {number | null} sent_at_ms when that was sent
 * @property {number | null} pose_to_photon_ms
 * @property {number | null} cache_age_ms
 * @property {number | null} clock_offset_ms the server's clock minus this page's
 * @property {number | null} clock_error_ms by which uplink and downlink may be wrong
 * @property {import("./stages.js").StageTimes} stages
 *
 * @typedef {Record<string, {p50: number, p95: number, count: number}>} StageSummaries
 */

/** @type {readonly (Exclude<keyof FrameRow, "stages">)[]} */
const COLUMNS_BEFORE = [
  "presented_at_ms",
  "rtp_timestamp",
  "view_seq",
  "mesh_seq",
  "moved",
  "moved_at_ms",
  "sent_at_ms",
  "pose_to_photon_ms",
];
/** @type {readonly (Exclude<keyof FrameRow, "stages">)[]} */
const COLUMNS_AFTER = ["cache_age_ms", "clock_offset_ms", "clock_error_ms"];

export class FrameLog {
  /** @type {FrameRow[]} */ #rows = [];

  /**
   * Add a row and forget the oldest ones if there are too many.
   *
   * @param {FrameRow} row
   */
  add(row) {
    this.#rows.push(row);
    if (this.#rows.length > MAX_ROWS * SPARE_SHARE) {
      this.#rows.splice(0, this.#rows.length - MAX_ROWS);
    }
  }

  /** Remove all rows. */
  clear() {
    this.#rows = [];
  }

  /** @returns {number} */
  get length() {
    return this.#rows.length;
  }

  /**
   * Return the rows of frames displayed since a time.
   *
   * @param {number} since_ms
   * @returns {FrameRow[]} oldest first
   */
  since(since_ms) {
    const before = this.#rows.findLastIndex((row) => row.presented_at_ms < since_ms);
    return this.#rows.slice(before + 1);
  }

  /**
   * Return the log as CSV (RFC 4180), one row per frame; unknown values are empty.
   *
   * @returns {string}
   */
  toCsv() {
    const names = [...COLUMNS_BEFORE, ...STAGES.map(({ id }) => `${id}_ms`), ...COLUMNS_AFTER];
    const lines = [names.join(",")];
    for (const row of this.#rows) {
      const values = [
        ...COLUMNS_BEFORE.map((name) => row[name]),
        ...STAGES.map(({ id }) => row.stages[id]),
        ...COLUMNS_AFTER.map((name) => row[name]),
      ];
      lines.push(values.map(csvCell).join(","));
    }
    return `${lines.join("\r\n")}\r\n`;
  }
}

/**
 * All values are numbers or words of this page, so none needs quotes.
 *
 * @param {number | string | null | undefined} value
 */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "number"
    ? String(Math.round(value * CSV_DECIMALS) / CSV_DECIMALS)
    : value;
}

/**
 * Return percentiles by stage.
 *
 * @param {readonly FrameRow[]} rows
 * @returns {StageSummaries} in the order of `STAGES`, without stages that no row has
 */
export function stagePercentiles(rows) {
  /** @type {StageSummaries} */
  const summaries = {};
  for (const { id } of STAGES) {
    const known = ascending(rows.map((row) => row.stages[id]).filter(Number.isFinite));
    const p50 = rank(known, 0.5);
    const p95 = rank(known, 0.95);
    if (p50 !== null && p95 !== null) summaries[id] = { p50, p95, count: known.length };
  }
  return summaries;
}
