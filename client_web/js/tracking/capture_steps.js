// Instructions for the person in the minute of a recording, with their times.

/**
 * @typedef {object} CaptureStep
 * @property {string} text
 * @property {number} seconds
 */

/** @type {readonly CaptureStep[]} */
export const STEPS = [
  { text: "Look straight into the camera, with a relaxed face", seconds: 6 },
  { text: "Turn your head slowly to one side, and back", seconds: 9 },
  { text: "And to the other side, and back", seconds: 9 },
  { text: "Nod slowly: chin up, chin down", seconds: 9 },
  { text: "Say slowly and clearly: A – E – I – O – U", seconds: 11 },
  { text: "Close your eyes gently, three times", seconds: 6 },
  { text: "Smile, and show your teeth", seconds: 5 },
  { text: "Raise your brows, then frown", seconds: 5 },
];

export const LENGTH_S = STEPS.reduce((sum, { seconds }) => sum + seconds, 0);

/**
 * Return what to do at a time.
 *
 * @param {number} time_s since the start
 * @returns {{step: CaptureStep, left_s: number} | null} null after the end
 */
export function stepAt(time_s) {
  let end_s = 0;
  for (const step of STEPS) {
    end_s += step.seconds;
    if (time_s < end_s) return { step, left_s: end_s - time_s };
  }
  return null;
}
