// Shows the newest frame as the newest pose would see it, at every refresh of the screen: the eye
// moves at once, while a frame drawn for it is still under way. Off unless switched on.

import { PictureMesh } from "./image_mesh.js";
import { reproject, seenFromHead } from "./reprojection.js";

const FINEST = 2; // pixels drawn for one of the video's: more cost time and show nothing
const FOV_Y_RAD = 0.4; // until the avatar tells its own

/** @typedef {import("../input/orbit.js").Pose} Pose */

export class LateView {
  #canvas;
  #video;
  #poses;
  /** @type {PictureMesh | null} */ #mesh = null;
  #moved = new Float32Array();
  #drawn = { from: null, to: "" };
  #changed = false;
  #frames = 0;
  #on = false;
  fov_y_rad = FOV_Y_RAD;

  /**
   * @param {HTMLCanvasElement} canvas lies on the video; seen only with class `shown`
   * @param {HTMLVideoElement} video
   * @param {object} poses
   * @param {() => Pose | null} poses.shown of the frame on screen
   * @param {() => import("../timing/latency.js").FrameReport["head"] | null} poses.head in that frame
   * @param {() => Pose} poses.now the newest
   * @param {() => void} onLost called when the browser has taken its WebGL back: it is off again
   */
  constructor(canvas, video, poses, onLost) {
    this.#canvas = canvas;
    this.#video = video;
    this.#poses = poses;
    canvas.addEventListener("webglcontextlost", () => {
      this.#mesh = null;
      this.stop();
      onLost();
    });
  }

  get on() {
    return this.#on;
  }

  /** @returns {boolean} whether it could: not without WebGL, nor where frames cannot be told apart */
  start() {
    if (!this.#video.requestVideoFrameCallback) return false;
    try {
      this.#mesh ??= new PictureMesh(this.#canvas);
    } catch {
      return false;
    }
    this.#moved = new Float32Array(this.#mesh.places.length);
    this.#on = true;
    if (this.#video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.frameShown();
    requestAnimationFrame(() => this.#refresh());
    return true;
  }

  stop() {
    this.#on = false;
    this.clear();
  }

  /** Uncovers the video: its next frame may be of another session. */
  clear() {
    this.#frames = 0;
    this.#canvas.classList.remove("shown");
  }

  /** Takes the frame that has just come on screen. */
  frameShown() {
    if (!this.#on) return;
    const seen = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    const size = Math.min(seen, FINEST * this.#video.videoWidth);
    if (this.#canvas.width !== size) this.#canvas.width = this.#canvas.height = size;
    this.#mesh.take(this.#video);
    this.#changed = true;
    this.#frames += 1;
    this.draw();
    this.#canvas.classList.add("shown");
  }

  /** Draws unless all is as it was. Runs by itself before every refresh; who moves the eye later than
   * that calls it once more. */
  draw() {
    if (!this.#on || !this.#frames) return;
    const now = this.#poses.now();
    const from = this.#poses.shown();
    const to = String([...now.position, ...now.rotation]);
    if (!this.#changed && from === this.#drawn.from && to === this.#drawn.to) return;
    // A frame whose pose is not known yet is shown as it is, like the video.
    if (from) this.#follow(from, now);
    else this.#moved.set(this.#mesh.places);
    this.#mesh.draw(this.#moved);
    this.#drawn = { from, to };
    this.#changed = false;
  }

  #follow(from, now) {
    const head = this.#poses.head();
    const [old, newest] = [from, now].map((eye) => seenFromHead(eye, head));
    reproject(this.#mesh.places, old, newest, this.fov_y_rad, this.#moved);
  }

  #refresh() {
    if (!this.#on) return;
    this.draw();
    requestAnimationFrame(() => this.#refresh());
  }
}
