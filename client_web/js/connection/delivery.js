// How frames are delivered: by WebRTC or, where that is blocked, by the JPEG fallback; and when a
// WebRTC session is tried in the background.

const FIRST_RETRY_MS = 30_000;
const LONGEST_RETRY_MS = 300_000;
const SEARCH_EVERY_MS = 3_000;

/** @typedef {"webrtc" | "jpeg"} Delivery */
/** @typedef {import("./webrtc_session.js").SessionEvents} SessionEvents */

/**
 * Tell whether the JPEG fallback may work where WebRTC does not.
 *
 * @param {import("./trouble.js").Trouble} trouble what ended the WebRTC session
 * @returns {boolean}
 */
export function mayUseJpeg(trouble) {
  return trouble.kind === "blocked" || trouble.kind === "unsupported";
}

/**
 * Holds back the events of a session that connects in the background, until the session replaces
 * the displayed one.
 */
export class Candidate {
  #events;
  /** @type {MediaStream | null} */ #stream = null;
  /** @type {RTCRtpReceiver | null} */ #voice = null;
  #adopted = false;

  /** @param {SessionEvents} events */
  constructor(events) {
    this.#events = events;
  }

  /** @returns {SessionEvents} for the session in the background */
  get events() {
    const { onVoice } = this.#events;
    return {
      ...this.#events,
      ...(onVoice && {
        onVoice: (/** @type {RTCRtpReceiver} */ receiver) => {
          this.#voice = receiver;
          if (this.#adopted) onVoice(receiver);
        },
      }),
      onVideo: (stream) => {
        this.#stream = stream;
        if (this.#adopted) this.#events.onVideo(stream);
      },
      onEvent: (event) => {
        if (this.#adopted) this.#events.onEvent(event);
      },
      onReady: () => {
        if (this.#adopted) this.#events.onReady();
      },
    };
  }

  /** Forward the held events, and all later ones. */
  adopt() {
    this.#adopted = true;
    if (this.#stream) this.#events.onVideo(this.#stream);
    if (this.#voice) this.#events.onVoice?.(this.#voice);
    this.#events.onReady();
  }
}

/** When to try WebRTC again during the JPEG fallback: ever less often, or on request. */
export class WebRtcRetries {
  #wait_ms = FIRST_RETRY_MS;
  /** @type {() => void} */ #wake = () => {};

  /**
   * Wait for the next attempt.
   *
   * @param {AbortSignal} signal ends the wait
   * @returns {Promise<void>}
   */
  next(signal) {
    const wait_ms = this.#wait_ms;
    this.#wait_ms = Math.min(2 * wait_ms, LONGEST_RETRY_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait_ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener("abort", this.#wake, { once: true });
    });
  }

  /** End the present wait. */
  now() {
    this.#wake();
  }
}

/** When to look for another server: every few seconds once the present one is draining. */
export class ServerSearch {
  /** @type {() => void} */ #begin = () => {};
  /** @type {Promise<void>} */ #begun = new Promise((resolve) => {
    this.#begin = resolve;
  });
  #first = true;

  /** Start to look. */
  begin() {
    this.#begin();
  }

  /**
   * Wait for the next attempt.
   *
   * @param {AbortSignal} signal ends the wait
   * @returns {Promise<void>}
   */
  async next(signal) {
    /** @type {Promise<void>} */
    const aborted = new Promise((resolve) =>
      signal.addEventListener("abort", () => resolve(), { once: true }),
    );
    await Promise.race([this.#begun, aborted]);
    const wait_ms = this.#first ? 0 : SEARCH_EVERY_MS;
    this.#first = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const waited = new Promise((resolve) => {
      timer = setTimeout(resolve, wait_ms);
    });
    await Promise.race([waited, aborted]);
    clearTimeout(timer);
  }
}
