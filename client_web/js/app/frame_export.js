// Saves the log of frames as a file.

const REVOKE_AFTER_MS = 5000; // by then the browser has read the data

/**
 * Return the file name for a table of frames.
 *
 * @param {string} stream
 * @param {Date} date
 * @returns {string}
 */
export function csvName(stream, date) {
  return `telewarp-${stream}-${date.toISOString().replaceAll(/[:.]/g, "-")}.csv`;
}

/**
 * Offer the log to the user as a CSV file.
 *
 * @param {Document} page
 * @param {import("../timing/frame_log.js").FrameLog} log
 * @param {string} stream
 */
export function saveFrames(page, log, stream) {
  const link = page.createElement("a");
  link.href = URL.createObjectURL(new Blob([log.toCsv()], { type: "text/csv" }));
  link.download = csvName(stream, new Date());
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_AFTER_MS);
}
