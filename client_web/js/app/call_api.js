// `window.telewarp` on the page of a call, for tests, benchmarks and the console.

/**
 * Return the page's programming interface.
 *
 * @param {import("./call_page.js").CallPage} page
 */
export function callApi(page) {
  return Object.freeze({
    /** Return the measurements and the state of the page. */
    stats: () => page.stats(),

    /**
     * Return when the last faces were seen by this page's camera.
     *
     * @returns {[number, number][]} `seq`, and milliseconds since 1970
     */
    capturedFaces: () =>
      [...page.sentFaces].map(([seq, { captured_ms }]) => [seq, epoch(captured_ms)]),

    /**
     * Return when the last faces were sent by this page.
     *
     * @returns {[number, number][]} `seq`, and milliseconds since 1970
     */
    sentFaces: () => [...page.sentFaces].map(([seq, { sent_ms }]) => [seq, epoch(sent_ms)]),

    /**
     * Return when faces of another person were displayed first.
     *
     * @param {number} seat of that person
     * @returns {[number, number][]} `seq`, and milliseconds since 1970
     */
    displayedFaces: (seat) => {
      /** @type {Map<number, number>} */
      const first = new Map();
      for (const { mesh_seq, presented_at_ms } of page.table.tile(seat)?.telemetry.log.since(0) ??
        []) {
        if (mesh_seq !== null && !first.has(mesh_seq)) first.set(mesh_seq, epoch(presented_at_ms));
      }
      return [...first];
    },
  });
}

/** @param {number} at_ms of `performance.now` */
function epoch(at_ms) {
  return performance.timeOrigin + at_ms;
}
