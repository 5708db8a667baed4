// Three ways to run the face landmarker, the best one first: in a module worker, in a classic worker,
// and on the page's own thread.

import { TrackerTrouble } from "./tracker_trouble.js";

const START_TIMEOUT_MS = 60_000; // 15 MB over a slow line, and compiling them

/**
 * @typedef {import("./detection.js").Detection} Detection
 * @typedef {import("./detection.js").Connections} Connections
 * @typedef {ImageBitmap | VideoFrame} Image
 *
 * @typedef {object} Detector
 * @property {string} host where it runs
 * @property {Connections} connections
 * @property {(image: Image, at_ms: number) => Promise<Detection>} detect one at a time; closes the image
 * @property {() => void} close
 */

/**
 * Start a detector: the first way that works.
 *
 * @param {string} folder address of MediaPipe's files
 * @param {readonly ((folder: string) => Promise<Detector>)[]} [ways]
 * @returns {Promise<Detector>}
 * @throws {Error} that of the last way
 */
export async function startDetector(folder, ways = [moduleWorker, classicWorker, ownThread]) {
  /** @type {unknown} */
  let last = null;
  for (const way of ways) {
    try {
      return await way(folder);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/** @param {string} folder */
function moduleWorker(folder) {
  const address = new URL("./module_worker.js", import.meta.url);
  return inWorker(folder, "module worker", () => new Worker(address, { type: "module" }));
}

/** @param {string} folder */
function classicWorker(folder) {
  const address = new URL("./classic_worker.js", import.meta.url);
  return inWorker(folder, "classic worker", () => new Worker(address));
}

/**
 * @param {string} folder
 * @param {string} host
 * @param {() => Worker} create
 * @returns {Promise<Detector>}
 */
async function inWorker(folder, host, create) {
  const worker = create();
  try {
    const { connections } = await answerOf(worker, { type: "load", folder }, START_TIMEOUT_MS);
    return {
      host,
      connections,
      detect: async (image, at_ms) => {
        const message = { type: "frame", image, at_ms };
        const { face, tracking_ms } = await answerOf(worker, message, START_TIMEOUT_MS, [image]);
        return { face, tracking_ms };
      },
      close: () => worker.terminate(),
    };
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

/**
 * Send a message and wait for its answer.
 *
 * @param {Worker} worker
 * @param {object} message
 * @param {number} timeout_ms
 * @param {Transferable[]} [transferred]
 * @returns {Promise<any>}
 */
function answerOf(worker, message, timeout_ms, transferred = []) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TrackerTrouble("failed", "no answer")), timeout_ms);
    worker.onmessage = ({ data }) => {
      clearTimeout(timer);
      if (data.type === "failed") reject(new Error(data.detail));
      else resolve(data);
    };
    worker.onerror = (event) => {
      clearTimeout(timer);
      event.preventDefault();
      reject(new Error(event.message || "the worker did not start"));
    };
    worker.postMessage(message, transferred);
  });
}

/**
 * @param {string} folder
 * @returns {Promise<Detector>}
 */
async function ownThread(folder) {
  await import(new URL("./landmarks.js", import.meta.url).href); // a script, not a module
  const bundle = await import(`${folder}/vision_bundle.mjs`);
  const { load, detect, connections } = /** @type {any} */ (globalThis).telewarpLandmarks;
  const landmarker = await load(bundle, folder, false);
  return {
    host: "page",
    connections: connections(bundle),
    detect: async (image, at_ms) => {
      try {
        return detect(landmarker, image, at_ms);
      } finally {
        image.close();
      }
    },
    close: () => landmarker.close(),
  };
}
