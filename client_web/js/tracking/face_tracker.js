// Tracks the face in a video: frames of the camera in, faces out. Independent of avatar and server.

import { CameraFrames } from "./camera_frames.js";
import { startDetector } from "./detectors.js";
import { PageTime } from "./page_time.js";
import { TrackerTrouble, troubleOf } from "./tracker_trouble.js";
import { TrackingPace } from "./tracking_pace.js";

const FOLDER = new URL("../../vendor/mediapipe", import.meta.url).href;
const SHORTEST_REST_MS = 1; // timers are no finer

/**
 * @typedef {import("./detection.js").Face} Face
 *
 * @typedef {object} TrackedFrame
 * @property {Face | null} face null if there is none in the frame
 * @property {number} capturedAt_ms when the camera took the frame, this page's clock
 * @property {number} arrivedAt_ms when the page got it
 * @property {number} trackedAt_ms when it was tracked
 * @property {number} tracking_ms what finding the face alone took
 */

export class FaceTracker {
  #onFace;
  #onTrouble;
  #start;
  #pause;
  #time;
  #pace = new TrackingPace(globalThis.navigator?.hardwareConcurrency ?? 1);
  /** @type {import("./detectors.js").Detector | null} */ #detector = null;
  /** @type {CameraFrames | null} */ #frames = null;

  /**
   * @param {object} events
   * @param {(frame: TrackedFrame) => void} events.onFace called for every tracked frame
   * @param {(trouble: TrackerTrouble) => void} events.onTrouble the tracker has ended by itself
   * @param {boolean} [events.whileHidden] whether it goes on while the page is hidden: for a face that
   *   others see
   * @param {(folder: string) => Promise<import("./detectors.js").Detector>} [start]
   * @param {(rest_ms: number) => Promise<unknown>} [pause]
   */
  constructor(
    { onFace, onTrouble, whileHidden = false },
    start = startDetector,
    pause = undefined,
  ) {
    this.#onFace = onFace;
    this.#onTrouble = onTrouble;
    this.#start = start;
    this.#time = whileHidden ? new PageTime(document) : null;
    this.#pause = pause ?? ((/** @type {number} */ ms) => this.#time?.wait(ms) ?? wait(ms));
  }

  /** @returns {import("./detection.js").Connections | null} lines between landmarks */
  get connections() {
    return this.#detector?.connections ?? null;
  }

  /** @returns {string | null} where the tracker runs */
  get host() {
    return this.#detector?.host ?? null;
  }

  /** @returns {number} frames the camera has delivered */
  get delivered() {
    return this.#frames?.delivered ?? 0;
  }

  /** Load the tracker. It may be loaded before there is a video. */
  async load() {
    if (this.#detector) return;
    try {
      await checkBrowser();
      this.#detector = await this.#start(FOLDER);
    } catch (error) {
      throw troubleOf(error);
    }
  }

  /**
   * Track a playing video until `stop`.
   *
   * @param {HTMLVideoElement} video
   * @throws {TrackerTrouble} if the tracker cannot run here
   */
  async start(video) {
    await this.load();
    this.#frames?.close();
    this.#frames = new CameraFrames(video, this.#time);
    void this.#run(this.#frames);
  }

  /** Stop tracking. The program stays loaded. */
  stop() {
    this.#frames?.close();
    this.#frames = null;
  }

  /** Stop and unload the program. */
  close() {
    this.stop();
    this.#time?.close();
    this.#detector?.close();
    this.#detector = null;
  }

  /** @param {CameraFrames} frames */
  async #run(frames) {
    while (this.#frames === frames && this.#detector) {
      const { image, capturedAt_ms, arrivedAt_ms } = await frames.next();
      const detector = this.#detector;
      if (!detector) {
        image.close();
        return;
      }
      const began_ms = performance.now();
      try {
        const detection = await detector.detect(image, arrivedAt_ms);
        if (this.#frames !== frames) return;
        const trackedAt_ms = performance.now();
        this.#onFace({ ...detection, capturedAt_ms, arrivedAt_ms, trackedAt_ms });
      } catch (error) {
        this.close();
        this.#onTrouble(troubleOf(error));
        return;
      }
      const rest_ms = this.#pace.rest(performance.now() - began_ms);
      if (rest_ms >= SHORTEST_REST_MS) await this.#pause(rest_ms);
    }
  }
}

/** @param {number} rest_ms */
function wait(rest_ms) {
  return new Promise((resolve) => setTimeout(resolve, rest_ms));
}

/** @throws {TrackerTrouble} if the browser or the server lacks what the tracker needs */
async function checkBrowser() {
  if (typeof WebAssembly === "undefined") throw new TrackerTrouble("no-wasm");
  const answer = await fetch(`${FOLDER}/face_landmarker.task`, { method: "HEAD" }).catch(
    () => null,
  );
  if (answer?.status === 404) throw new TrackerTrouble("files-missing");
}
