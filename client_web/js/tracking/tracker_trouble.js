// Why a face cannot be tracked. The words for people are in `panels/publish_texts.js`.

/**
 * @typedef {"no-wasm" | "wasm-blocked" | "no-webgl" | "files-missing" | "failed"} TroubleKind
 *   no-wasm: the browser has no WebAssembly; wasm-blocked: a policy forbids it; no-webgl: it has no
 *   WebGL 2, with which MediaPipe reads images; files-missing: the server does not have the tracker
 */

export class TrackerTrouble extends Error {
  /**
   * @param {TroubleKind} kind
   * @param {string} [detail] the browser's own words
   */
  constructor(kind, detail = "") {
    super(`the tracker does not run: ${kind}${detail && ` (${detail})`}`);
    this.kind = kind;
    this.detail = detail;
  }
}

/**
 * Return the trouble that an error of the tracker means.
 *
 * @param {unknown} error
 * @returns {TrackerTrouble}
 */
export function troubleOf(error) {
  if (error instanceof TrackerTrouble) return error;
  const detail = String(error);
  if (/content security policy|unsafe-eval|blocked by csp/i.test(detail)) {
    return new TrackerTrouble("wasm-blocked", detail);
  }
  if (/webgl|gl context|emscripten_webgl/i.test(detail)) {
    return new TrackerTrouble("no-webgl", detail);
  }
  return new TrackerTrouble("failed", detail);
}
