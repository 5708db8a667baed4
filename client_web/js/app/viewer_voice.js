// The voice of the stream on a viewer's page: plays it with the lips, and shows its level and buttons.

import { VoiceControls } from "../panels/voice_controls.js";
import { HeardVoice } from "../voice/heard_voice.js";
import { LipSync } from "../voice/lip_sync.js";
import { meterLevel } from "../voice/sound_level.js";
import { VoicePlayer } from "./voice_player.js";

const MEASURE_EVERY_MS = 100;
const SILENT_AFTER_MS = 3000; // in pauses, too, a packet comes every 400 ms (DTX)

/**
 * @typedef {object} VoiceStats
 * @property {import("../panels/voice_controls.js").VoiceState} state
 * @property {number} level 0 to 1
 * @property {import("../voice/lip_sync.js").VoiceOffset} offset_ms
 * @property {number} held_ms how long the browser holds it back
 */

/** @typedef {Pick<VoiceControls, "state" | "level" | "offset">} VoiceShown */

export class ViewerVoice {
  #player;
  #controls;
  #now;
  #lips = new LipSync();
  /** @type {RTCRtpReceiver | null} */ #receiver = null;
  /** @type {HeardVoice | null} */ #heard = null;
  #arrivedAt_ms = -Infinity;
  #sampledAt_ms = -Infinity;

  /**
   * @param {Document} page
   * @param {AbortSignal} signal
   * @param {() => number} now `performance.now`
   * @param {object} [parts]
   * @param {VoiceShown} [parts.controls] those of a viewer's page if missing
   * @param {Pick<Storage, "getItem" | "setItem"> | null} [parts.storage] keeps whether it is muted
   */
  constructor(page, signal, now, { controls, storage = localStorageOf(page) } = {}) {
    this.#now = now;
    this.#controls = controls ?? new VoiceControls(page, signal, () => this.toggleMute());
    const audio = page.createElement("audio");
    this.#player = new VoicePlayer(audio, storage, (state) => {
      this.#controls.state = state;
    });
    const timer = setInterval(() => this.#measure(), MEASURE_EVERY_MS);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      this.#player.close();
    });
  }

  /** @returns {VoiceStats} */
  get stats() {
    return {
      state: this.#player.state,
      level: meterLevel(this.#heard?.level ?? 0),
      offset_ms: this.#lips.offset(this.#now()),
      held_ms: this.#heard?.held_ms ?? 0,
    };
  }

  /**
   * Play the voice of a new session.
   *
   * @param {RTCRtpReceiver} receiver
   */
  receive(receiver) {
    this.#receiver = receiver;
    this.#heard = new HeardVoice(receiver, performance.timeOrigin);
    this.#lips.clear();
    this.#player.play(new MediaStream([receiver.track]));
  }

  /** @param {import("../connection/messages.js").VoiceEvent} event */
  clockReceived(event) {
    this.#heard?.clockReceived(event);
  }

  /**
   * Must be called for each face of the publisher that is shown.
   *
   * @param {number} captured_at_ms on the server's clock
   * @param {number} shown_at_ms on this page's
   */
  faceShown(captured_at_ms, shown_at_ms) {
    this.#lips.faceShown(shown_at_ms - captured_at_ms, shown_at_ms);
  }

  /** Mute the voice, or end that; does nothing while there is none. */
  toggleMute() {
    this.#player.toggle();
  }

  async #measure() {
    const heard = this.#heard;
    if (!heard) return;
    await heard.update();
    if (heard !== this.#heard) return; // another session has begun
    const now_ms = this.#now();
    if (heard.arriving) this.#arrivedAt_ms = now_ms;
    this.#player.present = now_ms - this.#arrivedAt_ms < SILENT_AFTER_MS;
    this.#controls.level = meterLevel(heard.level);
    this.#keepWithLips(heard, now_ms);
    this.#controls.offset = this.#lips.offset(now_ms);
  }

  /**
   * @param {HeardVoice} heard
   * @param {number} now_ms
   */
  #keepWithLips(heard, now_ms) {
    const path = heard.path();
    if (!path || path.at_ms <= this.#sampledAt_ms) return; // nothing was played since
    this.#sampledAt_ms = path.at_ms;
    this.#lips.voicePlayed(path.path_ms, now_ms);
    const hold_ms = this.#lips.hold(heard.held_ms, now_ms);
    if (hold_ms === null || !this.#receiver || !("jitterBufferTarget" in this.#receiver)) return;
    this.#receiver.jitterBufferTarget = hold_ms;
  }
}

/** @param {Document} page */
function localStorageOf(page) {
  try {
    return page.defaultView?.localStorage ?? null;
  } catch {
    return null; // the browser forbids it
  }
}
