// Reacts to the life of the page: network changes, a new token in the address, closing.

/**
 * @typedef {object} Living
 * @property {Pick<import("../connection/connection_manager.js").ConnectionManager,
 *   "retryNow" | "close">} manager
 * @property {() => void} readToken takes a token out of the page's address
 * @property {AbortController} life aborted when the page closes
 */

/**
 * Listen to the window's events.
 *
 * @param {EventTarget & {location: Pick<Location, "reload">}} window
 * @param {Living} living
 */
export function followPage(window, { manager, readToken, life }) {
  window.addEventListener("online", () => manager.retryNow());
  window.addEventListener("hashchange", () => {
    readToken();
    manager.retryNow();
  });
  window.addEventListener("pagehide", () => {
    manager.close();
    life.abort();
  });
  // A page restored from the browser's back-forward cache has ended its session.
  window.addEventListener("pageshow", (event) => {
    if (/** @type {PageTransitionEvent} */ (event).persisted) window.location.reload();
  });
}
