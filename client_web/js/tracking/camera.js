// Opens the camera.

const SIZE = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 60 } };

/**
 * Open a camera.
 *
 * @param {string} [deviceId] the browser's or the user's choice if missing
 * @param {MediaTrackConstraints} [size] and frame rate; by default, what the tracker needs
 * @returns {Promise<MediaStream>}
 * @throws {DOMException} as `getUserMedia`, and one with the name `insecure` where the browser offers no
 *   camera because the page's address is not secure
 */
export async function openCamera(deviceId, size = SIZE) {
  if (!globalThis.navigator?.mediaDevices) {
    throw new DOMException("the page's address is not secure", "insecure");
  }
  const device = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  return navigator.mediaDevices.getUserMedia({ video: { ...size, ...device }, audio: false });
}

/** @returns {Promise<MediaDeviceInfo[]>} with labels once a camera was allowed */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === "videoinput");
}
