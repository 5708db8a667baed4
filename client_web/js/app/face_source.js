// Camera and tracker for a page that only watches. A page that publishes has them already.

import { openCamera } from "../tracking/camera.js";
import { FaceTracker } from "../tracking/face_tracker.js";

/**
 * Open the camera and track the face in it.
 *
 * @param {Document} page
 * @param {(frame: import("../tracking/face_tracker.js").TrackedFrame) => void} onFace
 * @param {(error: unknown) => void} onTrouble it has ended by itself
 * @returns {Promise<{close: () => void}>}
 * @throws {DOMException} without a camera
 * @throws {import("../tracking/tracker_trouble.js").TrackerTrouble} if the tracker cannot run here
 */
export async function openFaceSource(page, onFace, onTrouble) {
  const camera = await openCamera();
  const video = page.createElement("video");
  const tracker = new FaceTracker({ onFace, onTrouble });
  const close = () => {
    tracker.close();
    video.srcObject = null;
    for (const track of camera.getTracks()) track.stop();
  };
  try {
    Object.assign(video, { muted: true, playsInline: true, srcObject: camera });
    await video.play();
    await tracker.start(video);
  } catch (error) {
    close();
    throw error;
  }
  const [track] = camera.getVideoTracks();
  track.onended = () => onTrouble(new DOMException("the camera has ended", "NotReadableError"));
  return { close };
}
