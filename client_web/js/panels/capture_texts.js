// Texts of the capture page.

import { sentence } from "./sentence.js";
import { describeSignIn } from "./sign_in_text.js";

/** @typedef {import("./publish_texts.js").PublishText} Words */
/** @typedef {import("../tracking/coverage.js").Covered} Covered */

/** @type {Record<import("../tracking/coverage.js").ExpressionName, string>} */
export const EXPRESSION_TEXTS = {
  open: "Mouth open (A)",
  round: "Lips round (O)",
  pursed: "Lips pursed (U)",
  smile: "Smile",
  blink: "Eyes closed",
  brows: "Brows raised",
};

/**
 * Return the statement that a person confirms; the avatar's manifest will contain it.
 *
 * @param {string} name
 * @param {string} day
 */
export function consentOf(name, day) {
  return `I am ${name}. I agree that an avatar of my face is made from this video, and that it is used and shown by this server. ${day}`;
}

/**
 * Name what a recording lacks.
 *
 * @param {Covered} covered
 * @returns {string} "" if it lacks nothing
 */
export function describeMissing({ yaw, pitch, expressions }) {
  const middle = (yaw.length - 1) / 2;
  const level = (pitch.length - 1) / 2;
  const missing = [
    yaw.slice(0, middle).includes(false) && "turning to your right",
    yaw.slice(middle + 1).includes(false) && "turning to your left",
    pitch.slice(0, level).includes(false) && "chin down",
    pitch.slice(level + 1).includes(false) && "chin up",
    ...Object.entries(EXPRESSION_TEXTS).map(
      ([name, text]) =>
        expressions[/** @type {keyof typeof EXPRESSION_TEXTS} */ (name)] < 1 && lowerFirst(text),
    ),
  ].filter(Boolean);
  return missing.join(", ");
}

/** @param {string} text its later capitals name vowels */
function lowerFirst(text) {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/**
 * Describe why the avatar cannot be made.
 *
 * @param {import("../connection/trouble.js").Trouble} trouble
 * @returns {Words}
 */
export function describeJobTrouble({ kind, status, detail }) {
  if (kind === "sign-in") {
    const need = "To make an avatar, enter a token with the scope admin.";
    return describeSignIn(detail, need, "--scope admin --minutes 60");
  }
  if (kind === "unreachable") {
    return { title: "The server is not answering", detail: "Check the connection and try again." };
  }
  if (kind === "unknown-stream" && detail.includes("--avatar-store")) {
    return {
      title: "This server makes no avatars yet",
      detail: "Its operator chooses a folder for them with",
      command: "scripts/serve.sh --avatar-store DIR",
    };
  }
  if (kind === "unknown-stream") {
    return { title: "The job no longer exists", detail: "It was deleted on the server." };
  }
  const title = status === 413 ? "The video is too large" : "The server refused the video";
  return { title, detail: sentence(detail) };
}

/**
 * Describe how far a job is.
 *
 * @param {import("../connection/avatar_jobs.js").AvatarJob} job
 * @returns {{title: string, detail: string, share: number}} share of the whole, 0..1
 */
export function describeJob(job) {
  const { state, position, stage, stage_index, stages, fraction, message, error } = job;
  if (state === "failed") {
    return { title: "No avatar was made", detail: sentence(error ?? ""), share: 0 };
  }
  if (state === "done") return { title: "Your avatar is ready", detail: "", share: 1 };
  if (state !== "running") {
    const before = Math.max(0, (position ?? 1) - 1);
    const detail = before
      ? `${before} other ${before === 1 ? "avatar is" : "avatars are"} made before it.`
      : "It begins soon.";
    return { title: "Waiting for its turn", detail, share: 0 };
  }
  if (!stage) return { title: "Starting", detail: "This takes up to a minute.", share: 0 };
  const share = (Math.min(stage_index, stages - 1) + fraction) / stages;
  return {
    title: `Step ${Math.min(stage_index + 1, stages)} of ${stages}`,
    detail: sentence(message),
    share,
  };
}
