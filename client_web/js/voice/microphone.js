// Opens the microphone.

// One channel is what voices are sent in. The browser's own processing keeps the loudspeaker's sound
// and the room's noise out of it.
const VOICE = {
  channelCount: { ideal: 1 },
  echoCancellation: { ideal: true },
  noiseSuppression: { ideal: true },
  autoGainControl: { ideal: true },
};

/**
 * Open a microphone.
 *
 * @param {string} [deviceId] the browser's or the user's choice if missing or ""
 * @returns {Promise<MediaStream>}
 * @throws {DOMException} as `getUserMedia`, and one with the name `insecure` where the browser offers
 *   no microphone because the page's address is not secure
 */
export async function openMicrophone(deviceId) {
  if (!globalThis.navigator?.mediaDevices) {
    throw new DOMException("the page's address is not secure", "insecure");
  }
  const device = deviceId ? { deviceId: { exact: deviceId } } : {};
  return navigator.mediaDevices.getUserMedia({ audio: { ...VOICE, ...device }, video: false });
}

/** @returns {Promise<MediaDeviceInfo[]>} with labels once a microphone was allowed */
export async function listMicrophones() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === "audioinput");
}
