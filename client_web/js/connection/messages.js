// Messages between this page and the server: what each holds, how they are written and read.
// The server's side is its messages module.

/**
 * @typedef {[number, number, number, number]} Quaternion `[x, y, z, w]`, of length one
 * @typedef {[number, number, number]} Vector
 *
 * @typedef {object} Pose a camera, local to world; it looks down its own -Z axis
 * @property {Quaternion} rotation
 * @property {Vector} position metres
 *
 * @typedef {object} HeadPose the head, local to world
 * @property {Quaternion} rotation
 * @property {Vector} translation metres
 *
 * @typedef {Record<string, number>} Expression coefficient by name; a missing one is 0, at rest
 *
 * @typedef {object} MeshFrame one facial expression and head pose
 * @property {number} seq
 * @property {number} captured_at_ms this page's clock
 * @property {Expression} expression
 * @property {HeadPose} [head] the neutral pose if missing
 */

/**
 * @typedef {object} FrameEvent describes one displayed frame; sent over the `events` channel
 * @property {"frame"} type
 * @property {number} rtp_timestamp identifies the frame; for the JPEG fallback, the image's number
 * @property {number | null} [view_seq] newest view the frame was rendered for; null for the default
 * @property {number | null} [mesh_seq] newest mesh frame it shows
 * @property {HeadPose | null} [head] pose of the head in the frame
 * @property {number | null} [cache_age_ms] age of the cached full render it was warped from
 * @property {Record<string, number>} [stages_ms] durations on the server
 * @property {Partial<ServerTimes>} [clock_ms] when the frame passed each point, server's clock
 * @property {number} [still] number of the refined still that shows the same; missing without one
 * @property {number} [lowered_from] rows that this display needs, where the server makes fewer because
 *   it is too slow; missing otherwise
 *
 * @typedef {object} ServerTimes milliseconds on the server's clock
 * @property {number | null} view_received
 * @property {number | null} mesh_received
 * @property {number | null} mesh_captured
 * @property {number | null} drawn
 * @property {number} encoded
 * @property {number} sent
 *
 * @typedef {object} PongEvent the answer to a ping
 * @property {"pong"} type
 * @property {number} sent_at_ms this page's clock when the ping was sent
 * @property {number} received_at_ms the server's clock
 * @property {number} [fps] highest frame rate the server renders
 *
 * @typedef {object} VoiceEvent when the sound of a packet of the voice was captured
 * @property {"voice"} type
 * @property {number} rtp_timestamp 48 kHz
 * @property {number} captured_at_ms the server's clock
 *
 * @typedef {object} NetworkEvent the server's measurements of the network to this page; once a second
 * @property {"network"} type
 * @property {number} estimate_kbps what it carries without queueing
 * @property {number} loss part of the last second's packets, 0 to 1
 * @property {number} queue_ms how long packets queue on the way
 * @property {number} round_trip_ms without queueing
 *
 * @typedef {{type: "error", detail: string}} ErrorEvent a message of this page was refused
 * @typedef {{type: "draining"}} DrainingEvent the server shuts down soon
 * @typedef {{type: "expired", detail: string}} ExpiredEvent the token has expired: the session ends
 * @typedef {{type: "ended", detail: string}} EndedEvent the stream was deleted: the session ends
 * @typedef {FrameEvent | PongEvent | VoiceEvent | NetworkEvent | ErrorEvent | DrainingEvent
 *   | ExpiredEvent | EndedEvent} ServerEvent
 */

const NETWORK_FIELDS = ["estimate_kbps", "loss", "queue_ms", "round_trip_ms"];
const DECIMALS = 1e4; // an expression value rounded to 0.0001 differs by less than one grey level

/**
 * Write a `view` message.
 *
 * @param {number} seq
 * @param {number} sent_at_ms
 * @param {Pose} eye
 * @param {number | null} [fov_y_rad] full vertical angle; null for the avatar's own
 * @returns {string}
 */
export function viewMessage(seq, sent_at_ms, eye, fov_y_rad = null) {
  const { rotation, position } = eye;
  const message = { type: "view", seq, sent_at_ms, eye: { rotation, position } };
  return JSON.stringify(fov_y_rad === null ? message : { ...message, fov_y_rad });
}

/**
 * Write a `display` message.
 *
 * @param {number} size_px rows of the frame on the screen, in the screen's own pixels
 * @param {boolean} [stills] whether refined stills are shown
 * @returns {string}
 */
export function displayMessage(size_px, stills = true) {
  return JSON.stringify({ type: "display", size_px, ...(!stills && { stills }) });
}

/**
 * Write a `ping` message, which the server answers with its clock.
 *
 * @param {number} sent_at_ms
 * @returns {string}
 */
export function pingMessage(sent_at_ms) {
  return JSON.stringify({ type: "ping", sent_at_ms });
}

/**
 * Write a `mesh` message. Coefficients at rest are left out.
 *
 * @param {MeshFrame} frame
 * @returns {string}
 */
export function meshMessage({ seq, captured_at_ms, expression, head }) {
  const rounded = Object.fromEntries(
    Object.entries(expression)
      .filter(([, value]) => value)
      .map(([name, value]) => [name, Math.round(value * DECIMALS) / DECIMALS]),
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
 * Parse JSON that comes from outside.
 *
 * @param {string} text
 * @returns {unknown} null if it is not JSON
 */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Check that a parsed message is an event that this page handles.
 *
 * @param {any} message
 * @returns {ServerEvent | null} null for unknown events, so that a newer server may send more
 */
export function toEvent(message) {
  if (message?.type === "frame" && Number.isInteger(message.rtp_timestamp)) return message;
  if (message?.type === "pong" && Number.isFinite(message.sent_at_ms)) return message;
  if (message?.type === "draining") return message;
  if (message?.type === "voice" && Number.isFinite(message.captured_at_ms)) return message;
  if (
    message?.type === "network" &&
    NETWORK_FIELDS.every((name) => Number.isFinite(message[name]))
  ) {
    return message;
  }
  if (["error", "expired", "ended"].includes(message?.type) && typeof message.detail === "string") {
    return message;
  }
  return null;
}

/**
 * Read one message of the `events` channel.
 *
 * @param {string} text
 * @returns {ServerEvent | null} null for what is not a known event
 */
export function parseEvent(text) {
  return toEvent(parseJson(text));
}
