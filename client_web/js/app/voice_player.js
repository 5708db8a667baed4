// Plays the voice of the stream, as far as the browser and the user let it.

const KEY = "telewarp.voice";

/** @typedef {import("../panels/voice_controls.js").VoiceState} VoiceState */

export class VoicePlayer {
  #audio;
  #storage;
  #onState;
  #muted;
  #blocked = false;
  #present = false;

  /**
   * @param {Pick<HTMLAudioElement, "play" | "muted" | "srcObject">} audio not part of the page: an
   *   element that also shows the video would hold it back until the sound is due
   * @param {Pick<Storage, "getItem" | "setItem"> | null} storage keeps whether it is muted
   * @param {(state: VoiceState) => void} onState
   */
  constructor(audio, storage, onState) {
    this.#audio = audio;
    this.#storage = storage;
    this.#onState = onState;
    this.#muted = storage?.getItem(KEY) === "muted";
    audio.muted = this.#muted;
  }

  /** @returns {VoiceState} */
  get state() {
    if (!this.#present) return "silent";
    if (this.#muted) return "muted";
    return this.#blocked ? "blocked" : "playing";
  }

  /**
   * Play the voice of a session.
   *
   * @param {MediaStream} stream
   */
  play(stream) {
    this.#audio.srcObject = stream;
    void this.#start();
  }

  /** @param {boolean} present whether the stream has a voice at present */
  set present(present) {
    if (present === this.#present) return;
    this.#present = present;
    this.#onState(this.state);
  }

  /** Let the voice be heard, or mute it. Must be called for a key or a click. */
  toggle() {
    if (this.state === "blocked") void this.#start();
    else if (this.state !== "silent") this.#mute(!this.#muted);
  }

  /** Stop playing. */
  close() {
    this.#audio.srcObject = null;
    this.present = false;
  }

  /** @param {boolean} muted */
  #mute(muted) {
    this.#muted = this.#audio.muted = muted;
    try {
      this.#storage?.setItem(KEY, muted ? "muted" : "audible");
    } catch {
      // The browser forbids it: the voice is audible the next time.
    }
    if (muted) this.#onState(this.state);
    else void this.#start();
  }

  async #start() {
    try {
      await this.#audio.play();
      this.#blocked = false;
    } catch (error) {
      // `AbortError`: another session's voice has replaced this one meanwhile.
      if (/** @type {Error} */ (error).name === "NotAllowedError") this.#blocked = true;
    }
    this.#onState(this.state);
  }
}
