// The browser's clock and timers, in the form that other modules expect.

/** @type {import("../timing/view_clock.js").Timers} */
export const timers = {
  now: () => performance.now(),
  requestFrame: (callback) => requestAnimationFrame(callback),
  setTimer: (callback, delay_ms) => setTimeout(callback, delay_ms),
  clearTimer: (timer) => clearTimeout(timer),
};
