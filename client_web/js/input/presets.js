// Preset expressions, and the animations of talking and blinking. Pure functions of time.

/** @typedef {import("../connection/messages.js").Expression} Expression coefficients 0..1 */
/** @typedef {(t_s: number) => Expression} Performance */

/** @type {Readonly<Record<string, Expression>>} */
export const PRESETS = Object.freeze({
  Neutral: {},
  Smile: both({
    mouthSmile: 0.75,
    cheekSquint: 0.45,
    eyeSquint: 0.25,
    mouthDimple: 0.2,
    mouthUpperUp: 0.15,
  }),
  Surprise: {
    ...both({ eyeWide: 0.75, browOuterUp: 0.85 }),
    browInnerUp: 0.9,
    jawOpen: 0.5,
    mouthFunnel: 0.3,
  },
  Wink: {
    ...both({ mouthSmile: 0.5 }),
    eyeBlinkLeft: 1,
    cheekSquintLeft: 0.7,
    browDownLeft: 0.35,
    mouthSmileLeft: 0.75,
    browOuterUpRight: 0.3,
  },
  Sad: {
    ...both({ mouthFrown: 0.75, eyeSquint: 0.2, eyeLookDown: 0.25 }),
    browInnerUp: 0.85,
    mouthShrugLower: 0.4,
  },
  Cross: {
    ...both({ browDown: 0.9, eyeSquint: 0.45, noseSneer: 0.4, mouthPress: 0.5, mouthFrown: 0.3 }),
  },
  Kiss: { mouthPucker: 0.9, mouthFunnel: 0.2, ...both({ eyeBlink: 0.25, browOuterUp: 0.2 }) },
});

/**
 * Animations that run for as long as they are chosen.
 *
 * @type {Readonly<Record<string, Performance>>}
 */
export const PERFORMANCES = Object.freeze({ Talk: talk });

// Mouth shapes of common vowels and consonants.
/** @type {readonly Expression[]} */
const VISEMES = [
  { jawOpen: 0.42, ...both({ mouthLowerDown: 0.25, mouthUpperUp: 0.12 }) }, // ah
  { jawOpen: 0.06, mouthClose: 0.05, ...both({ mouthPress: 0.35 }) }, // m
  { jawOpen: 0.18, ...both({ mouthStretch: 0.3, mouthSmile: 0.25, mouthLowerDown: 0.2 }) }, // ee
  { jawOpen: 0.2, mouthPucker: 0.5, mouthFunnel: 0.35 }, // oo
  { jawOpen: 0.28, mouthFunnel: 0.45 }, // oh
  { jawOpen: 0.1, mouthRollLower: 0.45, ...both({ mouthUpperUp: 0.2 }) }, // f
  { jawOpen: 0.22, ...both({ mouthLowerDown: 0.3 }), tongueOut: 0 }, // l
];
const SYLLABLE_S = 0.16;
const SENTENCE_S = 3.4;
const PAUSE_S = 0.7;

/**
 * Return the expression of a talking face.
 *
 * @type {Performance}
 */
export function talk(t_s) {
  const inSentence = t_s % (SENTENCE_S + PAUSE_S);
  const loud = fade(inSentence, 0.12) * fade(SENTENCE_S - inSentence, 0.25);
  const beat = t_s / SYLLABLE_S;
  const shape = blend(viseme(Math.floor(beat)), viseme(Math.floor(beat) + 1), smoothstep(beat % 1));
  const lively = 0.5 + 0.5 * Math.sin(t_s * 1.7);
  return {
    ...scale(shape, loud),
    browInnerUp: 0.3 * lively * loud,
    ...both({ browOuterUp: 0.18 * lively * loud, cheekSquint: 0.12 * loud }),
  };
}

const BLINK_S = 0.26;
const BLINK_EVERY_S = 3.7;
const CLOSING_SHARE = 0.35; // of a blink: lids close faster than they open

/**
 * Return how far the lids are closed by blinking alone.
 *
 * @param {number} t_s
 * @returns {number} 0..1
 */
export function blink(t_s) {
  const cycle = Math.floor(t_s / BLINK_EVERY_S);
  const start_s = BLINK_EVERY_S * (0.25 + 0.6 * hash(cycle)); // at an irregular moment of each
  const phase = ((t_s % BLINK_EVERY_S) - start_s) / BLINK_S;
  if (phase <= 0 || phase >= 1) return 0;
  if (phase < CLOSING_SHARE) return smoothstep(phase / CLOSING_SHARE);
  return smoothstep((1 - phase) / (1 - CLOSING_SHARE));
}

/**
 * Blend two expressions.
 *
 * @param {Expression} from
 * @param {Expression} to
 * @param {number} share of `to`, 0..1
 * @returns {Expression}
 */
export function blend(from, to, share) {
  const names = new Set([...Object.keys(from), ...Object.keys(to)]);
  return Object.fromEntries(
    [...names].map((name) => [name, (from[name] ?? 0) * (1 - share) + (to[name] ?? 0) * share]),
  );
}

/**
 * Give both sides of the face the same values.
 *
 * @param {Expression} expression by names without the side
 * @returns {Expression}
 */
function both(expression) {
  return Object.fromEntries(
    Object.entries(expression).flatMap(([stem, value]) => [
      [`${stem}Left`, value],
      [`${stem}Right`, value],
    ]),
  );
}

/**
 * @param {Expression} expression
 * @param {number} factor
 * @returns {Expression}
 */
function scale(expression, factor) {
  return Object.fromEntries(
    Object.entries(expression).map(([name, value]) => [name, value * factor]),
  );
}

/**
 * @param {number} index
 * @returns {Expression}
 */
function viseme(index) {
  return VISEMES[Math.floor(hash(index) * VISEMES.length)];
}

/**
 * Return a pseudo-random number for an index.
 *
 * @param {number} n
 * @returns {number} 0..1
 */
function hash(n) {
  const x = Math.sin(n * 127.1 + 11.7) * 43758.5453;
  return x - Math.floor(x);
}

/** @param {number} x 0..1 */
function smoothstep(x) {
  return x * x * (3 - 2 * x);
}

/**
 * @param {number} x
 * @param {number} length
 * @returns {number} from 0 at 0 to 1 at `length`
 */
function fade(x, length) {
  return smoothstep(Math.min(Math.max(x / length, 0), 1));
}
