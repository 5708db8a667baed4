// One's own camera with the tracked mesh over it.

import { find } from "./dom.js";

const MESH_COLOUR = "rgb(255 255 255 / 0.16)";
const CONTOUR_COLOUR = "rgb(227 185 143 / 0.9)";

export class CameraPreview {
  #element;
  #canvas;
  #context;
  #seen;
  /** @type {import("../tracking/detection.js").Connections | null} */ #connections = null;

  /** Plays the camera. @type {HTMLVideoElement} */
  video;

  /** Whether the mesh is drawn. */
  meshShown = true;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
    // Created here: a page that only watches has one video.
    this.video = element.ownerDocument.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true, disablePictureInPicture: true });
    this.video.setAttribute("aria-label", "Your camera");
    element.prepend(this.video);
    /** @type {HTMLCanvasElement} */
    this.#canvas = find(element, "[data-overlay]");
    this.#context = this.#canvas.getContext("2d");
    this.#seen = find(element, "[data-seen]");
  }

  /**
   * Show that the camera is off, or what it waits for.
   *
   * @param {string} text
   */
  showOff(text) {
    this.#element.dataset.phase = "off";
    find(this.#element, "[data-camera-text]").textContent = text;
    this.video.srcObject = null;
    this.#clear();
  }

  /**
   * Show a camera.
   *
   * @param {MediaStream} stream
   */
  async show(stream) {
    this.video.srcObject = stream;
    await this.video.play();
    this.#element.dataset.phase = "on";
    const { videoWidth: width, videoHeight: height } = this.video;
    this.#element.style.setProperty("--ratio", String(width / height));
    Object.assign(this.#canvas, { width, height });
  }

  /** @param {import("../tracking/detection.js").Connections | null} connections */
  set connections(connections) {
    this.#connections = connections;
  }

  /** @param {boolean} mirrored */
  set mirrored(mirrored) {
    this.#element.classList.toggle("mirrored", mirrored);
  }

  /** @param {boolean} found whether the tracker sees a face */
  set faceFound(found) {
    const text = found ? "Face found" : "No face found";
    // A status is announced when it changes, so it must not be written again.
    if (this.#seen.textContent !== text) this.#seen.textContent = text;
  }

  /**
   * Draw the mesh of a tracked frame.
   *
   * @param {Float32Array | null} landmarks null if there is no face
   */
  draw(landmarks) {
    this.#element.classList.toggle("found", landmarks !== null);
    this.#clear();
    if (!landmarks || !this.meshShown || !this.#connections) return;
    this.#stroke(landmarks, this.#connections.mesh, MESH_COLOUR, 1);
    this.#stroke(landmarks, this.#connections.contours, CONTOUR_COLOUR, 2);
  }

  /**
   * @param {Float32Array} landmarks
   * @param {Uint16Array} lines
   * @param {string} colour
   * @param {number} width_px
   */
  #stroke(landmarks, lines, colour, width_px) {
    const context = this.#context;
    if (!context) return;
    const { width, height } = this.#canvas;
    context.beginPath();
    for (let i = 0; i < lines.length; i += 2) {
      const [from, to] = [lines[i] * 2, lines[i + 1] * 2];
      context.moveTo(landmarks[from] * width, landmarks[from + 1] * height);
      context.lineTo(landmarks[to] * width, landmarks[to + 1] * height);
    }
    context.strokeStyle = colour;
    context.lineWidth = width_px;
    context.stroke();
  }

  #clear() {
    this.#context?.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }
}
