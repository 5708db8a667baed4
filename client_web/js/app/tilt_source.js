// The orientation sensors of a phone.

import { screenRotation } from "../input/tilt.js";

const SILENT_MS = 2000; // the first value comes at once
const REPEAT_MS = 100; // browsers report changes only: the last value is valid until the next one

/**
 * @typedef {"insecure" | "denied" | "silent"} SensorTroubleKind
 * @typedef {{requestPermission?: () => Promise<"granted" | "denied">}} PermissionOfIos
 */

/** Reason why a device does not report its orientation. */
export class SensorTrouble extends Error {
  /** @override */
  name = "SensorTrouble";

  /** @param {SensorTroubleKind} kind */
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/**
 * Tell whether a device is one that is held in the hand and has sensors.
 *
 * @param {Window} window
 * @returns {boolean}
 */
export function canTilt(window) {
  return "DeviceOrientationEvent" in window && window.matchMedia("(pointer: coarse)").matches;
}

/**
 * Listen to the sensors. Must be called for a click: iOS then asks the user.
 *
 * @param {Window & typeof globalThis} window
 * @param {(rotation: import("../connection/messages.js").Quaternion, at_ms: number) => void} onRotation
 * @param {() => number} now `performance.now`
 * @returns {Promise<{close: () => void}>} when the first value has come
 * @throws {SensorTrouble}
 */
export async function openTiltSource(window, onRotation, now) {
  if (!window.isSecureContext) throw new SensorTrouble("insecure");
  const ios = /** @type {PermissionOfIos | undefined} */ (window.DeviceOrientationEvent);
  const answer = (await ios?.requestPermission?.().catch(() => "denied")) ?? "granted";
  if (answer !== "granted") throw new SensorTrouble("denied");
  const life = new AbortController();
  try {
    await firstValue(window, onRotation, now, life.signal);
  } catch (error) {
    life.abort();
    throw error;
  }
  return { close: () => life.abort() };
}

/**
 * @param {Window & typeof globalThis} window
 * @param {(rotation: import("../connection/messages.js").Quaternion, at_ms: number) => void} onRotation
 * @param {() => number} now
 * @param {AbortSignal} signal ends the listening
 * @returns {Promise<void>} when the first value has come
 * @throws {SensorTrouble} if none comes
 */
function firstValue(window, onRotation, now, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new SensorTrouble("silent")), SILENT_MS);
    /** @type {ReturnType<typeof setInterval> | undefined} */
    let repeating;
    /** @param {DeviceOrientationEvent} event */
    const take = ({ alpha, beta, gamma }) => {
      if (alpha === null || beta === null || gamma === null) return; // there is no sensor
      clearTimeout(timer);
      clearInterval(repeating);
      const { angle } = window.screen.orientation ?? { angle: 0 };
      const rotation = screenRotation({ alpha, beta, gamma }, angle);
      repeating = setInterval(() => onRotation(rotation, now()), REPEAT_MS);
      onRotation(rotation, now());
      resolve();
    };
    window.addEventListener("deviceorientation", take, { signal });
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      clearInterval(repeating);
    });
  });
}
