// The face in a headset (WebXR): a window in space through which each eye sees the face from where it
// is. The server renders for both eyes.

import { windowToImage } from "../reprojection/screen_window.js";
import { WindowScene } from "../reprojection/window_scene.js";

const MODE = "immersive-vr";

/**
 * @typedef {import("../connection/messages.js").Vector} Vector
 * @typedef {import("../reprojection/screen_window.js").Homography} Homography
 * @typedef {Pick<import("./eye_session.js").HeadsetEye, "setView" | "displayed" | "close">} Eye
 *
 * @typedef {object} HeadsetParts
 * @property {HTMLElement} button shown where there is a headset
 * @property {Pick<import("../input/head_window.js").HeadWindow, "window" | "home" | "viewFrom">} head
 * @property {() => [Eye, Eye]} openEyes left and right
 * @property {(message: string) => void} showMessage shows why it did not start
 */

/** One session of the headset, from its start to its end. */
class HeadsetSession {
  #session;
  #space;
  #layer;
  #scene;
  #head;
  #eyes;
  /** @type {(Homography | null)[]} from the window to the frame that each eye was given last */
  #images = [null, null];

  /** How many frames the headset has displayed. */
  frames = 0;

  /**
   * @param {XRSession} session
   * @param {XRReferenceSpace} space begins where the wearer's eyes are
   * @param {XRWebGLLayer} layer
   * @param {WindowScene} scene
   * @param {HeadsetParts["head"]} head
   * @param {[Eye, Eye]} eyes
   */
  constructor(session, space, layer, scene, head, eyes) {
    this.#session = session;
    this.#space = space;
    this.#layer = layer;
    this.#scene = scene;
    this.#head = head;
    this.#eyes = eyes;
    session.addEventListener("end", () => this.#end());
    session.requestAnimationFrame((_now, frame) => this.#draw(frame));
  }

  /** @returns {object} for `window.telewarp` */
  get stats() {
    return {
      frames: this.frames,
      displayed_eyes_m: this.#eyes.map(({ displayed }) => displayed?.view.pose.position ?? null),
    };
  }

  /** @param {XRFrame} frame */
  #draw(frame) {
    this.#session.requestAnimationFrame((_now, next) => this.#draw(next));
    const pose = frame.getViewerPose(this.#space);
    if (!pose) return; // the headset has no pose
    this.#scene.begin(this.#layer.framebuffer);
    for (const view of pose.views) this.#drawView(view);
    this.frames += 1;
  }

  /** @param {XRView} view */
  #drawView(view) {
    const index = view.eye === "right" ? 1 : 0;
    const { x, y, z } = view.transform.position;
    this.#eyes[index].setView(this.#head.viewFrom([x, y, z]));
    this.#takeFrame(index);
    // Until the right eye has frames of its own, it sees those of the left one, without depth.
    const shown = this.#images[index] ? index : 0;
    const image = this.#images[shown];
    const viewport = this.#layer.getViewport(view);
    if (!image || !viewport) return;
    const { projectionMatrix: projection, transform } = view;
    const camera = { projection, view: transform.inverse.matrix, viewport };
    this.#scene.draw(shown, image, this.#windowInRoom, camera);
  }

  /** @param {0 | 1} index of the eye */
  #takeFrame(index) {
    const displayed = this.#eyes[index].displayed;
    if (!displayed) return; // the event of a frame is late: the frame before stays
    this.#scene.setFrame(index, displayed.source);
    this.#images[index] = windowToImage(displayed.view, this.#head.window);
  }

  /** The avatar's own view is where the wearer's eyes were at the start. */
  get #windowInRoom() {
    const { center, half_m } = this.#head.window;
    const home = this.#head.home;
    const there = /** @type {Vector} */ (center.map((middle, i) => middle - home[i]));
    return { center: there, half_m };
  }

  #end() {
    for (const eye of this.#eyes) eye.close();
  }
}

export class Headset {
  #page;
  #xr;
  #parts;
  #starting = false;
  /** @type {XRSession | null} */ #session = null;
  /** @type {HeadsetSession | null} */ #shown = null;

  /**
   * @param {Document} page
   * @param {XRSystem | undefined} xr `navigator.xr`; missing in browsers without WebXR
   * @param {HeadsetParts} parts
   */
  constructor(page, xr, parts) {
    this.#page = page;
    this.#xr = xr;
    this.#parts = parts;
    parts.button.addEventListener("click", () => void this.toggle());
    xr?.addEventListener("devicechange", () => void this.detect());
  }

  /** @returns {object | null} for `window.telewarp`; null while no headset shows the face */
  get stats() {
    return this.#shown?.stats ?? null;
  }

  /** Find out whether there is a headset, and show the button only then. */
  async detect() {
    const supported = await this.#xr?.isSessionSupported(MODE).catch(() => false); // not allowed here
    this.#parts.button.hidden = !supported;
  }

  /** Show the face in the headset, or end that. Must be called for a click. */
  async toggle() {
    if (this.#session) await this.#session.end();
    else if (!this.#starting) await this.#start();
  }

  async #start() {
    this.#starting = true;
    try {
      const session = await /** @type {XRSystem} */ (this.#xr).requestSession(MODE);
      this.#session = session;
      session.addEventListener("end", () => this.#ended());
      await this.#show(session).catch(async (error) => {
        await session.end();
        throw error;
      });
      this.#parts.button.setAttribute("aria-pressed", String(this.#session !== null));
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      this.#parts.showMessage(`The headset did not start: ${message}`);
    } finally {
      this.#starting = false;
    }
  }

  /** @param {XRSession} session */
  async #show(session) {
    const options = { xrCompatible: true, alpha: false, antialias: true };
    const canvas = this.#page.createElement("canvas");
    const gl = /** @type {WebGLRenderingContext | null} */ (canvas.getContext("webgl", options));
    if (!gl) throw new Error("this browser has no WebGL");
    const layer = new XRWebGLLayer(session, gl);
    await session.updateRenderState({ baseLayer: layer });
    const space = await session.requestReferenceSpace("local");
    const { head, openEyes } = this.#parts;
    const scene = new WindowScene(gl);
    if (this.#session !== session) return; // it was taken off meanwhile
    this.#shown = new HeadsetSession(session, space, layer, scene, head, openEyes());
  }

  #ended() {
    this.#session = this.#shown = null;
    this.#parts.button.setAttribute("aria-pressed", "false");
  }
}
