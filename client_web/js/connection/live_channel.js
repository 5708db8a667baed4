// A data channel for values of which only the newest counts. What a slow connection or a busy machine does
// not let out waits in the browser: a value behind it would arrive as late as all of them together.

export class LiveChannel {
  #channel;
  #most_bytes;
  #onRoom;
  #refused = false;

  /**
   * @param {RTCDataChannel} channel
   * @param {number} most_bytes that may wait when a message is sent
   * @param {() => void} [onRoom] a message can be sent again after one was refused
   */
  constructor(channel, most_bytes, onRoom = () => {}) {
    this.#channel = channel;
    this.#most_bytes = most_bytes;
    this.#onRoom = onRoom;
    channel.onbufferedamountlow = () => this.#hasRoom(); // called when nothing waits any more
  }

  /**
   * Send a message now or never.
   *
   * @param {string | ArrayBuffer} message
   * @returns {boolean} whether it was sent
   */
  send(message) {
    const { readyState, bufferedAmount } = this.#channel;
    if (readyState !== "open") return false;
    this.#refused = bufferedAmount > this.#most_bytes;
    if (this.#refused) return false;
    if (typeof message === "string") this.#channel.send(message);
    else this.#channel.send(message);
    return true;
  }

  #hasRoom() {
    if (!this.#refused) return;
    this.#refused = false;
    this.#onRoom();
  }
}
