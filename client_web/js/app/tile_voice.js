// The voice of one person of a call: plays it and reads how loud it is.

import { meterLevel } from "../voice/sound_level.js";
import { heardBy } from "./viewer_voice.js";
import { VoicePlayer } from "./voice_player.js";

const LOOK_EVERY_MS = 100;

export class TileVoice {
  #player;
  #timer;
  #onLevel;
  /** @type {RTCRtpReceiver | null} */ #receiver = null;

  /**
   * @param {Pick<HTMLAudioElement, "play" | "muted" | "srcObject">} audio
   * @param {object} events
   * @param {(level: number) => void} events.onLevel 0 to 1
   * @param {(blocked: boolean) => void} events.onBlocked whether the browser waits for a click
   */
  constructor(audio, { onLevel, onBlocked }) {
    this.#onLevel = onLevel;
    this.#player = new VoicePlayer(audio, null, (state) => onBlocked(state === "blocked"));
    this.#player.present = true;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /**
   * Play the voice of a new session.
   *
   * @param {RTCRtpReceiver} receiver
   */
  receive(receiver) {
    this.#receiver = receiver;
    this.#player.play(new MediaStream([receiver.track]));
  }

  /** Play it after all. Must be called for a key or a click. */
  unblock() {
    if (this.#player.state === "blocked") this.#player.toggle();
  }

  /** Play no longer. */
  close() {
    clearInterval(this.#timer);
    this.#receiver = null;
    this.#player.close();
  }

  async #look() {
    const receiver = this.#receiver;
    if (!receiver) return;
    const { level } = await heardBy(receiver);
    if (receiver === this.#receiver) this.#onLevel(meterLevel(level));
  }
}
