// The way of one frame, cut into stages: where the time went between a movement and its light.
// What cannot be measured is left out, never guessed.

/**
 * @typedef {object} Stage
 * @property {string} id
 * @property {string} words for people
 * @property {string} colour
 */

/** @type {readonly Stage[]} in the order a frame passes them */
export const STAGES = [
  { id: "hold", words: "Waiting to be sent", colour: "#56627c" },
  { id: "uplink", words: "To the server", colour: "#6f8fb5" },
  { id: "wait", words: "Waiting for its turn", colour: "#7c6b5c" },
  { id: "queue", words: "Behind other viewers", colour: "#93796a" },
  { id: "raster", words: "Drawing the mesh", colour: "#a58468" },
  { id: "warp", words: "Warping the cache", colour: "#e3b98f" },
  { id: "hand_over", words: "Between threads", colour: "#9b8371" },
  { id: "convert", words: "Converting colours", colour: "#b98e72" },
  { id: "encode", words: "Encoding", colour: "#cf9f78" },
  { id: "send", words: "Packing", colour: "#7d8596" },
  { id: "downlink", words: "From the server", colour: "#87a5c9" },
  { id: "buffer", words: "Waiting for the decoder", colour: "#6b8f7e" },
  { id: "decode", words: "Decoding", colour: "#7fa892" },
  { id: "screen", words: "Waiting for the screen", colour: "#5f7d6e" },
];

/**
 * @typedef {object} JoinedFrame a frame on screen, with the server's report of it
 * @property {import("./latency.js").FrameReport} report
 * @property {Partial<VideoFrameCallbackMetadata>} shown
 * @property {number} displayed_at_ms
 * @property {{kind: "view" | "mesh", sent_at_ms: number, moved_at_ms: number} | null} origin the
 *   oldest movement of this viewer's that it is the first to show
 *
 * @typedef {Record<string, number>} StageTimes milliseconds by stage; what is unknown is missing
 */

/**
 * For a frame that is the first to show a movement the stages add up to its pose-to-photon latency:
 * the clocks' offset is in the way there and in the way back, and goes out of the sum.
 *
 * @param {JoinedFrame} frame
 * @param {number | null} offset_ms the server's clock less this page's; null if unknown
 * @returns {StageTimes}
 */
export function frameStages(frame, offset_ms) {
  const { report } = frame;
  const moments = report.clock_ms;
  if (!moments) return { ...report.stages_ms };
  return {
    ...beforeSending(frame),
    ...wayThere(frame, offset_ms),
    ...onTheServer(frame),
    ...wayBack(frame, offset_ms),
    ...inTheBrowser(frame),
  };
}

function receivedAt({ report, origin }) {
  return (origin && report.clock_ms[`${origin.kind}_received`]) ?? null;
}

function beforeSending({ origin }) {
  return origin ? { hold: origin.sent_at_ms - origin.moved_at_ms } : {};
}

function wayThere(frame, offset_ms) {
  const received_ms = receivedAt(frame);
  if (received_ms === null || offset_ms === null) return {};
  return { uplink: received_ms - offset_ms - frame.origin.sent_at_ms };
}

function onTheServer(frame) {
  const { stages_ms, convert_ms = 0, clock_ms: at } = frame.report;
  const encoding_ms = stages_ms.encode ?? 0;
  const encode = { convert: convert_ms, encode: encoding_ms - convert_ms, send: at.sent - at.encoded };
  const received_ms = receivedAt(frame);
  const encodingFrom_ms = at.encoded - encoding_ms;
  // A picture that was sent before: it was not drawn for this frame.
  if (stages_ms.raster === undefined || at.drawn === null)
    return received_ms === null ? encode : { wait: encodingFrom_ms - received_ms, ...encode };
  return { ...drawing(stages_ms, at.drawn, received_ms, encodingFrom_ms), ...encode };
}

function drawing({ wait, queue = 0, raster, warp, hand_over = 0 }, drawn_ms, received_ms, encodingFrom_ms) {
  const stages = { wait, queue, raster, warp, hand_over: hand_over + encodingFrom_ms - drawn_ms };
  if (received_ms === null) return stages;
  const waited = drawn_ms - received_ms - queue - raster - warp - hand_over;
  // One that came in while the frame stood in the queue was still taken, and stood there less long.
  return { ...stages, wait: Math.max(0, waited), queue: queue + Math.min(0, waited) };
}

function wayBack({ report, shown }, offset_ms) {
  if (shown.receiveTime === undefined || offset_ms === null) return {};
  return { downlink: shown.receiveTime - (report.clock_ms.sent - offset_ms) };
}

function inTheBrowser({ shown, displayed_at_ms }) {
  const { receiveTime, processingDuration, presentationTime } = shown;
  if (presentationTime === undefined) return {};
  const screen = displayed_at_ms - presentationTime;
  if (receiveTime === undefined) return { screen };
  const decode = (processingDuration ?? 0) * 1000;
  return { buffer: presentationTime - receiveTime - decode, decode, screen };
}
