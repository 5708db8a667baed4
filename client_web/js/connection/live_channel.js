// A data channel for values of which only the newest counts. On a slow connection or a busy machine,
// values wait in the browser, and a further one would arrive after all of them.

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
    channel.onbufferedamountlow = () => this.#hasRoom(); // called when no value waits any more
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
