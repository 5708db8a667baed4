// Where a frame's latency is spent, stage by stage, from a movement to its light on the screen.
// A stage that cannot be measured is left out, never guessed.

/**
 * @typedef {object} Stage
 * @property {string} id
 * @property {string} words shown to people
 * @property {string} colour
 */

/** @type {readonly Stage[]} in the order a frame passes them */
export const STAGES = [
  { id: "camera", words: "From the camera", colour: "#5a5f86" },
  { id: "track", words: "Tracking the face", colour: "#7a74a8" },
  { id: "filter", words: "Smoothing the face", colour: "#68749a" },
  { id: "hold", words: "Waiting to be sent", colour: "#56627c" },
  { id: "uplink", words: "To the server", colour: "#6f8fb5" },
  { id: "wait", words: "Waiting for its turn", colour: "#7c6b5c" },
  { id: "queue", words: "Behind other viewers", colour: "#93796a" },
  { id: "raster", words: "Drawing the mesh", colour: "#a58468" },
  { id: "warp", words: "Warping the cache", colour: "#e3b98f" },
  { id: "hand_over", words: "Between threads", colour: "#9b8371" },
  { id: "encode", words: "Encoding", colour: "#cf9f78" },
  { id: "send", words: "Packing", colour: "#7d8596" },
  { id: "downlink", words: "From the server", colour: "#87a5c9" },
  { id: "buffer", words: "Waiting for the decoder", colour: "#6b8f7e" },
  { id: "decode", words: "Decoding", colour: "#7fa892" },
  { id: "screen", words: "Waiting for the screen", colour: "#5f7d6e" },
];

/**
 * @typedef {Pick<import("./frame_journal.js").DisplayedFrame,
 *   "event" | "metadata" | "displayed_at_ms" | "origin">} Frame
 * @typedef {import("../connection/messages.js").ServerTimes} ServerTimes
 * @typedef {Record<string, number>} StageTimes milliseconds by stage; unknown stages are missing
 */

/**
 * Return the duration of every stage.
 *
 * For a frame that is the first to show a movement the stages add up to its pose-to-photon latency:
 * the clock offset is subtracted on the uplink, added on the downlink, and so cancels.
 *
 * @param {Frame} frame
 * @param {number | null} offset_ms the server's clock minus this page's; null if unknown
 * @returns {StageTimes}
 */
export function frameStages(frame, offset_ms) {
  const { clock_ms, stages_ms } = frame.event;
  if (!clock_ms) return { ...stages_ms }; // an older server
  const times = /** @type {ServerTimes} */ (clock_ms);
  const received_ms = frame.origin && times[`${frame.origin.kind}_received`];
  return {
    ...beforeSending(frame),
    ...uplink(frame, received_ms, offset_ms),
    ...onServer(frame, times, received_ms),
    ...downlink(frame, times, offset_ms),
    ...inBrowser(frame),
  };
}

/**
 * @param {Frame} frame
 * @returns {StageTimes}
 */
function beforeSending({ origin }) {
  if (!origin) return {};
  const stages = origin.stages ?? {};
  const known_ms = Object.values(stages).reduce((sum, ms) => sum + ms, 0);
  return { ...stages, hold: origin.sent_at_ms - origin.moved_at_ms - known_ms };
}

/**
 * @param {Frame} frame
 * @param {number | null | undefined} received_ms
 * @param {number | null} offset_ms
 * @returns {StageTimes}
 */
function uplink({ origin }, received_ms, offset_ms) {
  if (!origin || received_ms == null || offset_ms === null) return {};
  return { uplink: received_ms - offset_ms - origin.sent_at_ms };
}

/**
 * @param {Frame} frame
 * @param {ServerTimes} times
 * @param {number | null | undefined} received_ms
 * @returns {StageTimes}
 */
function onServer({ event }, times, received_ms) {
  const { stages_ms = {} } = event;
  const encode_ms = stages_ms.encode ?? 0;
  const encoded = { encode: encode_ms, send: times.sent - times.encoded };
  const encodeBegan_ms = times.encoded - encode_ms;
  // A repeated frame was not rendered for this event.
  if (stages_ms.raster === undefined || times.drawn === null) {
    return received_ms == null ? encoded : { wait: encodeBegan_ms - received_ms, ...encoded };
  }
  return { ...rendering(stages_ms, times.drawn, received_ms, encodeBegan_ms), ...encoded };
}

/**
 * @param {Record<string, number>} stages_ms
 * @param {number} drawn_ms
 * @param {number | null | undefined} received_ms
 * @param {number} encodeBegan_ms
 * @returns {StageTimes}
 */
function rendering(stages_ms, drawn_ms, received_ms, encodeBegan_ms) {
  const { wait, queue = 0, raster, warp, hand_over = 0 } = stages_ms;
  const stages = { wait, queue, raster, warp, hand_over: hand_over + encodeBegan_ms - drawn_ms };
  if (received_ms == null) return stages;
  const waited = drawn_ms - received_ms - queue - raster - warp - hand_over;
  // A view that arrived while the frame was queued was still used: it was queued for less time.
  return { ...stages, wait: Math.max(0, waited), queue: queue + Math.min(0, waited) };
}

/**
 * @param {Frame} frame
 * @param {ServerTimes} times
 * @param {number | null} offset_ms
 * @returns {StageTimes}
 */
function downlink({ metadata }, times, offset_ms) {
  if (metadata.receiveTime === undefined || offset_ms === null) return {};
  return { downlink: metadata.receiveTime - (times.sent - offset_ms) };
}

/**
 * @param {Frame} frame
 * @returns {StageTimes}
 */
function inBrowser({ metadata, displayed_at_ms }) {
  const { receiveTime, processingDuration, presentationTime } = metadata;
  if (presentationTime === undefined) return {};
  const screen = displayed_at_ms - presentationTime;
  if (receiveTime === undefined) return { screen };
  const decode = (processingDuration ?? 0) * 1000;
  return { buffer: presentationTime - receiveTime - decode, decode, screen };
}
