// Reprojects the newest frame to the newest camera pose at every refresh of the screen: the view
// moves at once, while the frame rendered for that pose is still on its way. Off by default.

import { ImageMesh } from "./image_mesh.js";
import { relativeToHead, reproject } from "./reprojection.js";

const MAX_SCALE = 2; // canvas pixels per video pixel; more cost time and show no detail
const DEFAULT_FOV_Y_RAD = 0.4; // until the avatar's own is known

/**
 * @typedef {import("../connection/messages.js").Pose} Pose
 * @typedef {Pick<import("../timing/frame_journal.js").FrameJournal,
 *   "displayedPose" | "displayedHead">} Displayed
 */

export class LateReprojection {
  #canvas;
  #video;
  #displayed;
  #newestPose;
  /** @type {ImageMesh | null} */ #mesh = null;
  #moved = new Float32Array();
  /** @type {{from: Pose | null, to: string}} */ #drawn = { from: null, to: "" };
  #changed = false;
  #hasFrame = false;
  #on = false;

  /** Vertical field of view of the frames. */
  fov_y_rad = DEFAULT_FOV_Y_RAD;

  /**
   * @param {{video: HTMLVideoElement, late: HTMLCanvasElement}} elements `late` covers the video; it
   *   is visible only with class `shown`
   * @param {Displayed} displayed has the poses of the displayed frame
   * @param {() => Pose} newestPose
   * @param {() => void} onLost called when the browser has taken WebGL away and this is off again
   */
  constructor({ video, late }, displayed, newestPose, onLost) {
    this.#canvas = late;
    this.#video = video;
    this.#displayed = displayed;
    this.#newestPose = newestPose;
    late.addEventListener("webglcontextlost", () => {
      this.#mesh = null;
      this.stop();
      onLost();
    });
  }

  /** @returns {boolean} */
  get on() {
    return this.#on;
  }

  /**
   * Switch it on.
   *
   * @returns {boolean} false without WebGL, or if the browser does not report which frame it displays
   */
  start() {
    if (!this.#video.requestVideoFrameCallback) return false;
    try {
      this.#mesh ??= new ImageMesh(this.#canvas);
    } catch {
      return false;
    }
    this.#moved = new Float32Array(this.#mesh.sourcePositions.length);
    this.#on = true;
    if (this.#video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.frameDisplayed();
    requestAnimationFrame(() => this.#refresh());
    return true;
  }

  /** Switch it off. */
  stop() {
    this.#on = false;
    this.clear();
  }

  /** Uncover the video until its next frame, which may belong to another session. */
  clear() {
    this.#hasFrame = false;
    this.#canvas.classList.remove("shown");
  }

  /** Must be called when the video displays a new frame. */
  frameDisplayed() {
    if (!this.#on || !this.#mesh) return;
    const onScreen = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    const size = Math.min(onScreen, MAX_SCALE * this.#video.videoWidth);
    if (this.#canvas.width !== size) {
      this.#canvas.width = size;
      this.#canvas.height = size;
    }
    this.#mesh.setImage(this.#video);
    this.#changed = true;
    this.#hasFrame = true;
    this.draw();
    this.#canvas.classList.add("shown");
  }

  /**
   * Draw, unless frame and poses are unchanged. Runs before every refresh; call it again if the pose
   * changes later in the same animation frame.
   */
  draw() {
    const mesh = this.#mesh;
    if (!this.#on || !this.#hasFrame || !mesh) return;
    const now = this.#newestPose();
    const from = this.#displayed.displayedPose;
    const to = String([...now.position, ...now.rotation]);
    if (!this.#changed && from === this.#drawn.from && to === this.#drawn.to) return;
    // A frame whose pose is unknown is drawn unchanged, like the video.
    if (from) this.#reproject(mesh, from, now);
    else this.#moved.set(mesh.sourcePositions);
    mesh.draw(this.#moved);
    this.#drawn = { from, to };
    this.#changed = false;
  }

  /**
   * @param {ImageMesh} mesh
   * @param {Pose} from
   * @param {Pose} now
   */
  #reproject(mesh, from, now) {
    const head = this.#displayed.displayedHead;
    const [old, newest] = [from, now].map((eye) => relativeToHead(eye, head));
    reproject(mesh.sourcePositions, old, newest, this.fov_y_rad, this.#moved);
  }

  #refresh() {
    if (!this.#on) return;
    this.draw();
    requestAnimationFrame(() => this.#refresh());
  }
}
