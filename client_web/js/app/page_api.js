// `window.telewarp`, for tests, benchmarks and the console.

// Tests and benchmarks depend on these values; this page uses other names for some of them.
const STATE_NAMES = {
  connecting: "connecting",
  live: "live",
  queued: "in-line",
  waiting: "waiting",
};
const DELIVERY_NAMES = { webrtc: "webrtc", jpeg: "pictures" };

/**
 * @typedef {object} PageParts
 * @property {string} stream
 * @property {import("../timing/telemetry.js").Telemetry} telemetry
 * @property {import("./page_state.js").PageState} state
 * @property {Pick<import("./image_display.js").ImageDisplay, "delivery">} display
 * @property {Pick<import("../reprojection/late_reprojection.js").LateReprojection, "on">} late
 * @property {Pick<import("./refined_image.js").RefinedImage, "shown" | "visible">} [refined]
 * @property {{readonly stats: object | null} | null} [headset]
 * @property {import("./viewer_input.js").ViewerInput} input
 * @property {() => {readonly id: string | null} | null} session
 * @property {{readonly stats: object | null} | null} [publishing] null on a viewer's page
 * @property {{readonly stats: object} | null} [voice] null on a page that publishes
 */

/**
 * Return the page's programming interface.
 *
 * @param {PageParts} parts
 * @param {() => number} now `performance.now`
 */
export function pageApi(parts, now) {
  const { telemetry, state, display, input } = parts;
  const { orbit, face, viewSender, meshSender } = input;
  return Object.freeze({
    /** Return the measurements and the state of the page. */
    stats: () => ({
      ...telemetry.measured(now()),
      late_reprojection: parts.late.on,
      refined: parts.refined
        ? { visible: parts.refined.visible, shown: parts.refined.shown }
        : null,
      view_lead_ms: viewSender.clock.lead_ms,
      frame_stages_ms: telemetry.frameStages(now()),
      state: STATE_NAMES[state.name],
      way: display.delivery && DELIVERY_NAMES[display.delivery],
      trouble: state.trouble?.kind ?? null,
      session: parts.session()?.id ?? null,
      stream: parts.stream,
      view_seq_sent: viewSender.seq,
      mesh_seq_sent: meshSender.seq,
      following_eyes: input.viewpoint.following,
      displayed_eye_m: telemetry.journal.displayedPose?.position ?? null,
      view: { yaw_rad: orbit.yaw_rad, pitch_rad: orbit.pitch_rad, zoom: orbit.zoom },
      driving: face.driving,
      publishing: parts.publishing?.stats ?? null,
      voice: parts.voice?.stats ?? null,
      headset: parts.headset?.stats ?? null,
    }),

    /**
     * Move the view at once, as an input device does.
     *
     * @param {{yaw_rad?: number, pitch_rad?: number}} angles a missing one stays
     */
    setView: ({ yaw_rad = orbit.yaw_rad, pitch_rad = orbit.pitch_rad }) => {
      orbit.turnTo(yaw_rad, pitch_rad);
      input.viewMoved();
    },
  });
}
