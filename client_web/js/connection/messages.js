// What a viewer sends and hears over its data channels. The server's side is server/messages.py.

/** @typedef {import("../input/orbit.js").Pose} Pose */

/**
 * @param {number} seq @param {number} sent_at_ms @param {Pose} eye
 * @returns {string} a `View`
 */
export function viewMessage(seq, sent_at_ms, eye) {
  const { rotation, position } = eye;
  return JSON.stringify({ type: "view", seq, sent_at_ms, eye: { rotation, position } });
}

/** @param {number} sent_at_ms @returns {string} a `Ping`, answered with the server's clock */
export function pingMessage(sent_at_ms) {
  return JSON.stringify({ type: "ping", sent_at_ms });
}

/**
 * @param {number} seq
 * @param {number} captured_at_ms
 * @param {Record<string, number>} expression by name; what is missing is at rest
 * @param {{rotation: number[], translation: number[]}} [head] the neutral pose if missing
 * @returns {string} a `MeshFrame` for the `view` channel
 */
export function meshMessage(seq, captured_at_ms, expression, head) {
  const rounded = Object.fromEntries(
    Object.entries(expression)
      .filter(([, value]) => value)
      .map(([name, value]) => [name, Math.round(value * 1e4) / 1e4]),
  );
  return JSON.stringify({
    type: "mesh",
    seq,
    captured_at_ms,
    ...(head && { head }),
    expression: rounded,
  });
}

/**
 * @param {string} text one message of the `events` channel
 * @returns {import("../timing/latency.js").FrameReport | import("../timing/server_clock.js").Pong
 *   | {type: "error", detail: string} | {type: "draining"} | null} null for what this page does not understand, so
 *   that a newer server may say more
 */
export function parseEvent(text) {
  let event;
  try {
    event = JSON.parse(text);
  } catch {
    return null;
  }
  if (event?.type === "frame" && Number.isInteger(event.rtp_timestamp)) return event;
  if (event?.type === "pong" && Number.isFinite(event.sent_at_ms)) return event;
  if (event?.type === "draining") return event;
  if (event?.type === "error" && typeof event.detail === "string") return event;
  return null;
}
