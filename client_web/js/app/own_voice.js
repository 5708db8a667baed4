// The publisher's own voice: opens the microphone, mutes it, and shows its level.

import { NO_MICROPHONE } from "../panels/own_voice_panel.js";
import { describeMicrophoneTrouble } from "../panels/publish_texts.js";

const METER_EVERY_MS = 66; // fast enough to follow syllables

/**
 * @typedef {import("../panels/own_voice_panel.js").OwnVoicePanel} OwnVoicePanel
 *
 * @typedef {object} Devices
 * @property {typeof import("../voice/microphone.js").openMicrophone} open
 * @property {typeof import("../voice/microphone.js").listMicrophones} list
 * @property {(stream: MediaStream) => {readonly value: number, close: () => void}} meter
 */

export class OwnVoice {
  #panel;
  #devices;
  #onTrack;
  /** @type {MediaStream | null} */ #microphone = null;
  /** @type {{readonly value: number, close: () => void} | null} */ #meter = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;
  #muted = false;

  /**
   * @param {Pick<OwnVoicePanel, "show" | "speaking" | "muted" | "level" | "showMessage">} panel
   * @param {Devices} devices
   * @param {(track: MediaStreamTrack | null) => void} onTrack another voice is to be sent, or none
   */
  constructor(panel, devices, onTrack) {
    this.#panel = panel;
    this.#devices = devices;
    this.#onTrack = onTrack;
  }

  /** @returns {MediaStreamTrack | null} null while there is no microphone */
  get track() {
    return this.#microphone?.getAudioTracks()[0] ?? null;
  }

  /** @returns {boolean} */
  get muted() {
    return this.#muted;
  }

  /** @returns {number} loudness of what is sent, 0 to 1 */
  get level() {
    return this.#muted ? 0 : (this.#meter?.value ?? 0);
  }

  /**
   * Open a microphone instead of the present one. If that fails, the failure is reported and there is no voice.
   *
   * @param {string} choice a device id, "" for the default, or `NO_MICROPHONE`
   */
  async use(choice) {
    this.close();
    this.#panel.showMessage(null);
    if (choice !== NO_MICROPHONE) await this.#open(choice);
    this.#panel.speaking = this.track !== null;
    this.#onTrack(this.track);
  }

  /** Mute the microphone, or end that. */
  toggleMute() {
    this.#muted = !this.#muted;
    this.#apply();
  }

  /** Close the microphone. */
  close() {
    clearInterval(this.#timer);
    this.#meter?.close();
    this.#meter = null;
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#microphone = null;
    this.#panel.level = 0;
  }

  /** @param {string} choice */
  async #open(choice) {
    try {
      this.#microphone = await this.#devices.open(choice).catch((error) => {
        if (!choice || error.name === "NotAllowedError") throw error;
        return this.#devices.open(); // the remembered microphone is not connected
      });
    } catch (error) {
      this.#panel.showMessage(describeMicrophoneTrouble(error));
      return;
    }
    const { track } = this;
    if (track) track.onended = () => this.#ended();
    this.#meter = this.#devices.meter(this.#microphone);
    this.#timer = setInterval(() => {
      this.#panel.level = this.level;
    }, METER_EVERY_MS);
    this.#apply();
    this.#panel.show(await this.#devices.list(), track?.getSettings().deviceId ?? "");
  }

  #apply() {
    const { track } = this;
    if (track) track.enabled = !this.#muted; // disabled, it sends silence
    this.#panel.muted = this.#muted;
  }

  #ended() {
    this.close();
    this.#panel.speaking = false;
    this.#panel.showMessage(describeMicrophoneTrouble({ name: "NotReadableError" }));
    this.#onTrack(null);
  }
}
