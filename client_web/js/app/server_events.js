// Passes the server's events on to whom they concern, and shows its error messages.

const ERROR_VISIBLE_MS = 5000;

export class ServerEvents {
  #telemetry;
  #viewClock;
  #errorLine;
  #onDraining;
  #onVoice;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #errorTimer;

  /**
   * @param {Pick<import("../timing/telemetry.js").Telemetry,
   *   "eventReceived" | "pongReceived" | "networkReceived" | "serverError">} telemetry
   * @param {{fps: number}} viewClock
   * @param {{textContent: string | null}} errorLine shows the server's error messages
   * @param {() => void} onDraining
   * @param {(event: import("../connection/messages.js").VoiceEvent) => void} [onVoice]
   */
  constructor(telemetry, viewClock, errorLine, onDraining, onVoice = () => {}) {
    this.#telemetry = telemetry;
    this.#viewClock = viewClock;
    this.#errorLine = errorLine;
    this.#onDraining = onDraining;
    this.#onVoice = onVoice;
  }

  /**
   * Handle one event.
   *
   * @param {import("../connection/messages.js").ServerEvent} event
   */
  receive(event) {
    if (event.type === "frame") this.#telemetry.eventReceived(event, performance.now());
    if (event.type === "pong") {
      this.#telemetry.pongReceived(event, performance.now());
      this.#viewClock.fps = event.fps ?? this.#viewClock.fps;
    }
    if (event.type === "network") this.#telemetry.networkReceived(event, performance.now());
    if (event.type === "voice") this.#onVoice(event);
    if (event.type === "error") this.#showError(event.detail);
    if (event.type === "draining") this.#onDraining();
  }

  /** @param {string} detail */
  #showError(detail) {
    this.#telemetry.serverError();
    this.#errorLine.textContent = `The server says: ${detail}`;
    clearTimeout(this.#errorTimer);
    this.#errorTimer = setTimeout(() => {
      this.#errorLine.textContent = "";
    }, ERROR_VISIBLE_MS);
  }
}
