// One other person of a call: watches their stream, from the direction of one's own seat and eyes.

import { fetchAvatar } from "../connection/avatars.js";
import { pingMessage } from "../connection/messages.js";
import { SeatView } from "../input/seat_view.js";
import { Viewpoint } from "../input/viewpoint.js";
import { Backdrop } from "../panels/backdrop.js";
import { CallTilePanel } from "../panels/call_tile_panel.js";
import { Telemetry } from "../timing/telemetry.js";
import { createConnection } from "./connect.js";
import { DisplaySize } from "./display_size.js";
import { ImageDisplay } from "./image_display.js";
import { OffAxisDisplay } from "./off_axis_display.js";
import { PageState } from "./page_state.js";
import { ServerEvents } from "./server_events.js";
import { ViewSender } from "./view_sender.js";
import { ViewerVoice } from "./viewer_voice.js";

const HEARTBEAT_MS = 1000; // keepalive, with the current view
const PING_EVERY_MS = 500;
const FPS = 30; // of cameras: faces and eyes do not move more often
const DEFAULT_LATENCY_MS = 50; // until a frame was displayed

/** @typedef {import("../connection/call_connection.js").Person} Person */

export class CallTile {
  #timers;
  #seat = new SeatView();
  #offAxis;
  #viewSender;
  #manager;
  #state;
  #voice;
  #backdrop;
  #life = new AbortController();
  /** @type {ReturnType<typeof setInterval>[]} */ #intervals;

  /** Statistics of the frames that are shown. */
  telemetry = new Telemetry();

  /** The elements of the tile. */
  panel;

  /** The stream that is watched. */
  stream;

  /**
   * @param {Document} page
   * @param {URL} host the address of the server that the call is on
   * @param {Person} person
   * @param {import("../timing/view_clock.js").Timers} timers
   * @param {() => void} onBlocked `blocked` may have changed
   */
  constructor(page, host, { stream }, timers, onBlocked) {
    const { telemetry } = this;
    const seat = this.#seat;
    this.stream = stream;
    this.#timers = timers;
    this.panel = new CallTilePanel(page);
    const viewpoint = new Viewpoint(seat.orbit);
    viewpoint.follow((at_ms) => seat.view(at_ms));
    const send = (/** @type {string} */ text) => this.#manager?.session?.send(text) ?? false;
    this.#viewSender = new ViewSender(seat.orbit, viewpoint, telemetry, send, timers);
    const displaySize = new DisplaySize(this.panel.frame, send, () => devicePixelRatio, false);
    this.#offAxis = new OffAxisDisplay(this.panel.frame, displayedIn(seat, telemetry), seat.window);
    const display = this.#display();
    this.#backdrop = new Backdrop(page, () => display.element, this.panel.element);
    this.#backdrop.start(this.#life.signal);
    this.#voice = new ViewerVoice(page, this.#life.signal, timers.now, {
      controls: this.#voiceShown(onBlocked),
      storage: null, // the voices of a call are not muted one by one
    });
    telemetry.onFace = (captured_ms, shown_ms) => this.#voice.faceShown(captured_ms, shown_ms);
    this.#state = new PageState(this.#stateView(page), {
      onConnecting: () => this.#load(host),
      onLeavingLive: () => display.keepStill(),
    });
    const events = new ServerEvents(
      telemetry,
      limitRate(FPS, this.#viewSender.clock),
      { textContent: null },
      () => this.#manager.serverDrains(),
      (event) => this.#voice.clockReceived(event),
    );
    const endpoint = new URL(`v1/streams/${encodeURIComponent(stream)}/whep`, host);
    this.#manager = createConnection(endpoint, {
      ...{ display, jpegCanvas: this.panel.jpeg, state: this.#state, events, voice: this.#voice },
      sendView: () => {
        this.#viewSender.send();
        displaySize.send();
      },
      display_px: () => displaySize.size_px,
    });
    displaySize.follow(window, this.#life.signal);
    this.#intervals = [
      setInterval(() => this.#viewSender.send(), HEARTBEAT_MS),
      setInterval(() => this.#measure(), PING_EVERY_MS),
    ];
  }

  /** Connect. Must be called once the tile is in its place, whose size decides that of the frames. */
  start() {
    void this.#manager.run();
  }

  /**
   * Show the state of the person.
   *
   * @param {Person} person
   * @param {import("../input/table.js").Angles} direction in which they see this viewer
   */
  show(person, direction) {
    this.panel.show(person);
    if (this.#seat.turnTo(direction)) this.#viewSender.moved(this.#timers.now());
  }

  /**
   * Take the calibration of the viewer's screen.
   *
   * @param {{pixel_m?: number, straight?: [number, number]}} screen
   */
  calibrate(screen) {
    Object.assign(this.#seat.window, screen);
  }

  /**
   * Move the view with the viewer's eyes.
   *
   * @param {import("../connection/messages.js").Vector} eyes in the camera's space, metres
   * @param {number} captured_ms
   */
  follow(eyes, captured_ms) {
    const { window, eyes: follower } = this.#seat;
    window.side_px = this.panel.frame.clientWidth || window.side_px;
    follower.measured(eyes, captured_ms);
    this.#viewSender.moved(captured_ms);
  }

  /** Stop following the viewer's eyes. */
  release() {
    this.#seat.eyes.release();
  }

  /** @returns {boolean} whether the browser waits for a click to play the voice */
  get blocked() {
    return this.#voice.stats.state === "blocked";
  }

  /** Play the voice after all. Must be called for a click. */
  unblock() {
    if (this.blocked) this.#voice.toggleMute();
  }

  /** Retry the pending attempt now, if there is one. */
  retryNow() {
    this.#manager.retryNow();
  }

  /** @returns {object} for `window.telewarp` */
  get stats() {
    const now_ms = this.#timers.now();
    return {
      ...this.telemetry.measured(now_ms),
      frame_stages_ms: this.telemetry.frameStages(now_ms),
      displayed_eye_m: this.telemetry.journal.displayedPose?.position ?? null,
      state: this.#state.name,
      stream: this.stream,
      voice: this.#voice.stats,
    };
  }

  /** End the session and remove the tile. */
  close() {
    this.#life.abort();
    this.#manager.close();
    for (const interval of this.#intervals) clearInterval(interval);
    this.panel.element.remove();
  }

  /**
   * @param {() => void} onBlocked
   * @returns {import("./viewer_voice.js").VoiceShown}
   */
  #voiceShown(onBlocked) {
    const { panel } = this;
    const { now } = this.#timers;
    return {
      set state(/** @type {import("../panels/voice_controls.js").VoiceState} */ _state) {
        onBlocked();
      },
      set level(/** @type {number} */ level) {
        panel.showLevel(level, now());
      },
      set offset(/** @type {import("../voice/lip_sync.js").VoiceOffset} */ _offset) {},
    };
  }

  #display() {
    const { element: body, video, jpeg, still } = this.panel;
    const note = /** @type {HTMLElement} */ (body.querySelector(".note"));
    return new ImageDisplay({ body, video, jpeg, still, note }, this.#timers, {
      onSession: () => this.telemetry.restart(),
      onFrame: (metadata, now_ms) => {
        this.telemetry.displayed(metadata, now_ms);
        this.#offAxis.frameDisplayed();
      },
      onVideoFrame: () => {},
      onFirstFrame: () => {
        this.#manager.frameDisplayed();
        this.#backdrop.update();
      },
    });
  }

  /** @param {Document} page */
  #stateView(page) {
    return {
      body: this.panel.element,
      draining: page.createElement("p"),
      notice: {
        show: (
          /** @type {import("../connection/connection_manager.js").ConnectionState} */ state,
          /** @type {import("../connection/trouble.js").Trouble | null} */ trouble,
        ) => this.panel.showConnection(state, trouble),
      },
      signIn: { show: () => {} }, // the token is requested before the call
    };
  }

  /** @param {URL} host */
  async #load(host) {
    const avatar = await fetchAvatar(this.stream, host, { signal: this.#life.signal });
    if (avatar?.eye_position) this.#seat.setHome(avatar.eye_position, avatar.fov_y_rad);
    this.#viewSender.homeKnown();
  }

  async #measure() {
    const { session } = this.#manager;
    const now_ms = this.#timers.now();
    if (session?.delivery === "webrtc") session.send(pingMessage(now_ms));
    const { p50 } = this.telemetry.measured(now_ms).sent_to_photon_ms;
    this.#seat.eyes.latency_ms = p50 ?? DEFAULT_LATENCY_MS;
    const received = await session?.received();
    if (received) this.telemetry.received(received.bytes, this.#timers.now());
  }
}

/**
 * Limit the frame rate that a server sends to a view clock.
 *
 * @param {number} most
 * @param {{fps: number}} clock
 */
function limitRate(most, clock) {
  clock.fps = most;
  return {
    get fps() {
      return clock.fps;
    },
    set fps(fps) {
      clock.fps = Math.min(fps, most);
    },
  };
}

/**
 * Return the view of the displayed frame in the space in which its window looks straight ahead.
 *
 * @param {SeatView} seat
 * @param {Telemetry} telemetry
 */
function displayedIn(seat, telemetry) {
  return {
    get displayedView() {
      const view = telemetry.journal.displayedView;
      const pose = view?.pose ? seat.inWindow(view.pose) : null;
      return view && { ...view, pose };
    },
  };
}
