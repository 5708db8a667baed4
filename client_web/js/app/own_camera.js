// The publisher's own camera: opens it, shows it, and starts the tracker on its frames.

import { describeCameraTrouble } from "../panels/publish_texts.js";
import { listCameras, openCamera } from "../tracking/camera.js";

export class OwnCamera {
  #panel;
  #tracker;
  /** @type {MediaStream | null} */ #stream = null;

  /**
   * @param {Pick<import("../panels/publish_panel.js").PublishPanel,
   *   "preview" | "showCameras" | "showMessage">} panel
   * @param {import("../tracking/face_tracker.js").FaceTracker} tracker
   */
  constructor(panel, tracker) {
    this.#panel = panel;
    this.#tracker = tracker;
  }

  /**
   * Open a camera instead of the present one.
   *
   * @param {string | undefined} deviceId
   * @throws {DOMException} without a camera
   * @throws {import("../tracking/tracker_trouble.js").TrackerTrouble} if the tracker cannot run here
   */
  async open(deviceId) {
    this.close();
    const { preview } = this.#panel;
    preview.showOff("Waiting for your camera…");
    try {
      this.#stream = await openCamera(deviceId).catch((error) => {
        if (!deviceId || error.name === "NotAllowedError") throw error;
        return openCamera(); // the remembered camera is not connected
      });
      await preview.show(this.#stream);
      await this.#tracker.start(preview.video);
    } catch (error) {
      this.close();
      preview.showOff("Your camera is off");
      throw error;
    }
    preview.connections = this.#tracker.connections;
    const [track] = this.#stream.getVideoTracks();
    track.onended = () =>
      this.#panel.showMessage(describeCameraTrouble({ name: "NotReadableError" }));
    this.#panel.showCameras(await listCameras(), track.getSettings().deviceId);
  }

  /** Close the camera. */
  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }
}
