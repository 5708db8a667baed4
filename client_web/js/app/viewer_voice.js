// The voice of the stream on a viewer's page: plays it, and shows its level and its buttons.

import { VoiceControls } from "../panels/voice_controls.js";
import { meterLevel } from "../voice/sound_level.js";
import { VoicePlayer } from "./voice_player.js";

const LOOK_EVERY_MS = 100;
const SILENT_AFTER_MS = 3000; // in pauses, too, a packet comes every 400 ms (DTX)

/** @typedef {{packets: number, level: number}} Heard */

export class ViewerVoice {
  #player;
  #controls;
  #now;
  /** @type {RTCRtpReceiver | null} */ #receiver = null;
  #packets = 0;
  #heardAt_ms = -Infinity;
  #level = 0;

  /**
   * @param {Document} page
   * @param {AbortSignal} signal
   * @param {() => number} now `performance.now`
   */
  constructor(page, signal, now) {
    this.#now = now;
    this.#controls = new VoiceControls(page, signal, () => this.toggleMute());
    const audio = page.createElement("audio");
    this.#player = new VoicePlayer(audio, localStorageOf(page), (state) => {
      this.#controls.state = state;
    });
    const timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      this.#player.close();
    });
  }

  /** @returns {{state: import("../panels/voice_controls.js").VoiceState, level: number}} */
  get stats() {
    return { state: this.#player.state, level: this.#level };
  }

  /**
   * Play the voice of a new session.
   *
   * @param {RTCRtpReceiver} receiver
   */
  receive(receiver) {
    this.#receiver = receiver;
    this.#packets = 0;
    this.#player.play(new MediaStream([receiver.track]));
  }

  /** Mute the voice, or end that; does nothing while there is none. */
  toggleMute() {
    this.#player.toggle();
  }

  async #look() {
    const receiver = this.#receiver;
    if (!receiver) return;
    const { packets, level } = await heardBy(receiver);
    if (receiver !== this.#receiver) return; // another session has begun
    const now_ms = this.#now();
    if (packets > this.#packets) this.#heardAt_ms = now_ms;
    this.#packets = packets;
    this.#player.present = now_ms - this.#heardAt_ms < SILENT_AFTER_MS;
    this.#level = meterLevel(level);
    this.#controls.level = this.#level;
  }
}

/**
 * Read how much of a voice has arrived, and how loud it is.
 *
 * @param {RTCRtpReceiver} receiver
 * @returns {Promise<Heard>}
 */
export async function heardBy(receiver) {
  for (const report of (await receiver.getStats()).values()) {
    if (report.type !== "inbound-rtp") continue;
    return { packets: report.packetsReceived ?? 0, level: report.audioLevel ?? 0 };
  }
  return { packets: 0, level: 0 };
}

/** @param {Document} page */
function localStorageOf(page) {
  try {
    return page.defaultView?.localStorage ?? null;
  } catch {
    return null; // the browser forbids it
  }
}
