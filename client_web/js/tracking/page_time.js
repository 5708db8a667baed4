// Keeps time in a page that is not shown too. Browsers delay the timers of a hidden page to one per second,
// but not those of its workers.

export class PageTime {
  #page;
  #start;
  /** @type {Worker | null} */ #worker = null;
  #number = 0;
  /** @type {Map<number, () => void>} */ #waiting = new Map();

  /**
   * @param {Pick<Document, "hidden" | "addEventListener">} page
   * @param {() => Worker} [start] starts `timer_worker.js`, once the page is hidden
   */
  constructor(page, start = startWorker) {
    this.#page = page;
    this.#start = start;
  }

  /** @returns {boolean} */
  get hidden() {
    return this.#page.hidden;
  }

  /** @returns {Promise<unknown>} when the page was hidden or shown */
  changed() {
    return new Promise((resolve) => {
      this.#page.addEventListener("visibilitychange", resolve, { once: true });
    });
  }

  /**
   * @param {number} ms
   * @returns {Promise<unknown>} never, if it is closed meanwhile in a hidden page
   */
  wait(ms) {
    if (!this.hidden) return new Promise((resolve) => setTimeout(resolve, ms));
    const id = ++this.#number;
    const worker = this.#open();
    return new Promise((resolve) => {
      this.#waiting.set(id, () => resolve(null));
      worker.postMessage({ id, ms });
    });
  }

  /** End the worker, if there is one. */
  close() {
    this.#worker?.terminate();
    this.#worker = null;
    this.#waiting.clear();
  }

  #open() {
    if (this.#worker) return this.#worker;
    const worker = this.#start();
    worker.onmessage = ({ data }) => {
      this.#waiting.get(data)?.();
      this.#waiting.delete(data);
    };
    this.#worker = worker;
    return worker;
  }
}

function startWorker() {
  return new Worker(new URL("./timer_worker.js", import.meta.url));
}
