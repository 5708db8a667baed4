// Creates the connection of this page: its sessions display what they receive.

import { ConnectionManager } from "../connection/connection_manager.js";
import { JpegSession } from "../connection/jpeg_session.js";
import { Queue } from "../connection/queue.js";
import { WebRtcSession } from "../connection/webrtc_session.js";

/**
 * @typedef {object} Receivers
 * @property {import("./image_display.js").ImageDisplay} display
 * @property {HTMLCanvasElement} jpegCanvas
 * @property {import("./page_state.js").PageState} state
 * @property {import("./server_events.js").ServerEvents} events
 * @property {{receive: (receiver: RTCRtpReceiver) => void} | null} voice null to hear none
 * @property {() => void} sendView sends the first view of a session
 * @property {() => number} [display_px] rows of the frame on the screen, in its own pixels; 0: unknown
 */

/**
 * Return the connection to a stream. It opens nothing before `run` is called.
 *
 * @param {URL} endpoint the stream's WHEP address
 * @param {Receivers} receivers
 * @returns {ConnectionManager}
 */
export function createConnection(
  endpoint,
  { display, jpegCanvas, state, events, voice, sendView, display_px = () => 0 },
) {
  /** @param {import("../connection/messages.js").ServerEvent} event */
  const onEvent = (event) => events.receive(event);
  const jpegEvents = {
    onEvent,
    onReady: () => {
      display.showJpeg();
      sendView();
    },
    onImage: (/** @type {number} */ image) => display.imageDrawn(image),
  };
  return new ConnectionManager(
    {
      webrtc: (sessionEvents) => new WebRtcSession(sessionEvents),
      jpeg: () => new JpegSession(jpegCanvas, jpegEvents),
      open: (session, signal, ticket) => session.open(endpoint, signal, ticket, display_px()),
      queue: new Queue(),
      onState: (next) => state.enter(next),
      onDelivery: (delivery) => {
        display.nextDelivery = delivery;
      },
    },
    {
      onVideo: (stream) => display.showVideo(stream),
      ...(voice && { onVoice: (receiver) => voice.receive(receiver) }),
      onEvent,
      onReady: sendView,
      isVisible: () => document.visibilityState === "visible",
    },
  );
}
