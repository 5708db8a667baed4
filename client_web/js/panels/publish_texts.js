// What the publish panel says when something is missing.

import { sentence } from "./sentence.js";
import { describeSignIn } from "./sign_in_text.js";

/**
 * @typedef {object} PublishText
 * @property {string} title
 * @property {string} detail
 * @property {string} [command] that helps, for the operator of the server
 */

const INSTALL = ".venv/bin/python scripts/install_tracker.py";

/**
 * Names of errors that mean the same as another one to a person. Firefox tells of a camera that another
 * program uses by `AbortError`; `OverconstrainedError` means that the chosen device is not connected.
 *
 * @type {Record<string, string>}
 */
const SAME_ERRORS = {
  AbortError: "NotReadableError",
  OverconstrainedError: "NotFoundError",
  SecurityError: "NotAllowedError",
};

/** @type {Record<string, PublishText>} by the name of the browser's error */
const CAMERA_TEXTS = {
  insecure: {
    title: "The camera needs a secure address",
    detail:
      "Browsers allow it only to pages under https:// and to pages of this machine (http://localhost).",
  },
  NotAllowedError: {
    title: "The camera is blocked",
    detail:
      "Allow the camera for this page (usually with the icon beside the address) and try again. An embedding page must allow it too.",
  },
  NotFoundError: {
    title: "No camera was found",
    detail: "Connect a camera, or switch it on, and try again.",
  },
  NotReadableError: {
    title: "The camera cannot be used",
    detail: "Another program may be using it. Close that program and try again.",
  },
};

/** @type {Record<string, PublishText>} by the name of the browser's error */
const MICROPHONE_TEXTS = {
  insecure: {
    title: "The microphone needs a secure address",
    detail: "Browsers allow it only under https:// and on this machine. Your face is sent.",
  },
  NotAllowedError: {
    title: "The microphone is blocked",
    detail:
      "Your face is sent without your voice. Allow the microphone for this page, then choose it again.",
  },
  NotFoundError: {
    title: "No microphone was found",
    detail: "Your face is sent without your voice. Connect a microphone, then choose it.",
  },
  NotReadableError: {
    title: "The microphone cannot be used",
    detail:
      "Your face is sent without your voice. Another program may be using it, or it was unplugged.",
  },
};

const FACE_ONLY = "Your face is sent without your voice.";
const SYSTEM_DENIES = "In the privacy settings of your computer, allow this browser to use";

/** @type {Partial<Record<import("../connection/trouble.js").TroubleKind, string>>} */
const VOICE_TEXTS = {
  blocked:
    "A firewall, a VPN or a browser setting may block WebRTC (UDP). Your face is sent without your voice.",
  unsupported: "This browser has no WebRTC. Your face is sent without your voice.",
};

/** @type {Record<import("../tracking/tracker_trouble.js").TroubleKind, PublishText>} */
const TRACKER_TEXTS = {
  "files-missing": {
    title: "This server cannot track faces yet",
    detail: "The face tracker is not installed on it. Its operator installs it with",
    command: INSTALL,
  },
  "no-wasm": {
    title: "This browser cannot track faces",
    detail:
      "WebAssembly is missing or switched off. Please use a current version of Chrome, Edge, Firefox or Safari.",
  },
  "wasm-blocked": {
    title: "The face tracker is blocked",
    detail:
      "A Content-Security-Policy forbids WebAssembly here. A proxy in front of the server may replace the server's own policy, which allows it.",
  },
  "no-webgl": {
    title: "This browser cannot track faces",
    detail:
      "The tracker reads camera images with WebGL 2, which is missing or switched off. Hardware acceleration in the settings of the browser may switch it on.",
  },
  failed: { title: "The face tracker has stopped", detail: "Reload this page to start it again." },
};

/**
 * Return whether the operating system keeps the device from the browser, as Chromium tells it.
 *
 * @param {unknown} error
 */
function deniedBySystem(error) {
  const { name, message = "" } = /** @type {Error} */ (error);
  return name === "NotAllowedError" && /system/i.test(message);
}

/**
 * Describe why there is no camera.
 *
 * @param {unknown} error of `openCamera`
 * @returns {PublishText}
 */
export function describeCameraTrouble(error) {
  const { name, message = "" } = /** @type {Error} */ (error);
  const text = CAMERA_TEXTS[SAME_ERRORS[name] ?? name];
  if (text && deniedBySystem(error)) {
    return { ...text, detail: `${SYSTEM_DENIES} the camera, then try again.` };
  }
  return text ?? { title: "The camera does not start", detail: sentence(message) };
}

/**
 * Describe why there is no microphone.
 *
 * @param {unknown} error of `openMicrophone`
 * @returns {PublishText}
 */
export function describeMicrophoneTrouble(error) {
  const { name, message = "" } = /** @type {Error} */ (error);
  const text = MICROPHONE_TEXTS[SAME_ERRORS[name] ?? name];
  if (text && deniedBySystem(error)) {
    const detail = `${FACE_ONLY} ${SYSTEM_DENIES} the microphone, then choose it again.`;
    return { ...text, detail };
  }
  const detail = `${FACE_ONLY} ${sentence(message)}`.trim();
  return text ?? { title: "The microphone does not start", detail };
}

/**
 * Describe why the voice is not sent although there is a microphone.
 *
 * @param {import("../connection/trouble.js").Trouble} trouble
 * @returns {PublishText}
 */
export function describeVoiceTrouble({ kind, status, detail }) {
  const title = "Your voice is not sent";
  if (status === 409) {
    return {
      title,
      detail: "Another publisher sends the voice of this stream. Your face is sent.",
    };
  }
  return { title, detail: VOICE_TEXTS[kind] ?? `The server answers: ${sentence(detail || kind)}` };
}

/**
 * Describe why the tracker does not run.
 *
 * @param {import("../tracking/tracker_trouble.js").TrackerTrouble} trouble
 * @returns {PublishText}
 */
export function describeTrackerTrouble({ kind, detail }) {
  const text = TRACKER_TEXTS[kind];
  if (kind !== "failed" || !detail) return text;
  return { ...text, detail: `${text.detail} The browser reports: ${sentence(detail)}` };
}

/**
 * Describe why the stream is no longer published; the page tries again.
 *
 * @param {import("../connection/trouble.js").Trouble} trouble
 * @returns {PublishText}
 */
export function describePublishTrouble(trouble) {
  const text = describeStartTrouble(trouble);
  return isSilence(trouble) ? { ...text, detail: "Trying again." } : text;
}

/**
 * Describe why the stream cannot be published when the user wants to go live.
 *
 * @param {import("../connection/trouble.js").Trouble} trouble
 * @returns {PublishText}
 */
export function describeStartTrouble(trouble) {
  const { kind, detail } = trouble;
  if (kind === "sign-in") {
    const need = "To publish, enter a token with the scopes publish and view.";
    return describeSignIn(detail, need, "--scope publish --scope view --minutes 60");
  }
  if (isSilence(trouble)) {
    const next = "Check your network, then press Go live again.";
    return { title: "The server is not answering", detail: next };
  }
  return { title: "The server refused the stream", detail: sentence(detail) };
}

/** @param {import("../connection/trouble.js").Trouble} trouble */
function isSilence({ kind }) {
  return kind === "unreachable" || kind === "lost";
}

/**
 * Describe a frame that the server refused.
 *
 * @param {string} detail the server's words
 * @returns {PublishText}
 */
export function describeRefusedFrame(detail) {
  return { title: "The server refused a frame of your face", detail: sentence(detail) };
}

/**
 * Describe a stream that exists already.
 *
 * @param {{stream: string, kind: "live" | "other-avatar", avatar: string}} conflict
 * @returns {PublishText & {action: string}}
 */
export function describeConflict({ stream, kind, avatar }) {
  if (kind === "live") {
    return {
      title: `Somebody is live as “${stream}”`,
      detail: "Choose another name, or take over: viewers will see you instead.",
      action: "Take over",
    };
  }
  return {
    title: `“${stream}” shows another avatar`,
    detail: `The stream exists with the avatar “${avatar}”. Choose another name, or go live with that avatar.`,
    action: `Go live as “${avatar}”`,
  };
}
