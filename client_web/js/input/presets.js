// Ready-made faces, and the movements of one that talks and one that blinks. Pure functions of time.

/** @typedef {Record<string, number>} Expression coefficient name to 0..1; what is missing is at rest */
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

/** What moves for as long as it is chosen. @type {Readonly<Record<string, Performance>>} */
export const PERFORMANCES = Object.freeze({ Talk: talk });

// Mouth shapes of everyday vowels and consonants; the names are the sounds.
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

/** @type {Performance} */
export function talk(t_s) {
  const inSentence = t_s % (SENTENCE_S + PAUSE_S);
  const loud = fade(inSentence, 0.12) * fade(SENTENCE_S - inSentence, 0.25);
  const beat = t_s / SYLLABLE_S;
  const shape = blend(viseme(Math.floor(beat)), viseme(Math.floor(beat) + 1), smooth(beat % 1));
  const lively = 0.5 + 0.5 * Math.sin(t_s * 1.7);
  return {
    ...scale(shape, loud),
    browInnerUp: 0.3 * lively * loud,
    ...both({ browOuterUp: 0.18 * lively * loud, cheekSquint: 0.12 * loud }),
  };
}

const BLINK_S = 0.26;
const BLINK_EVERY_S = 3.7;

/**
 * How far the lids are closed by blinking alone: a face that never blinks looks at nobody.
 *
 * @param {number} t_s
 * @returns {number} 0..1
 */
export function blink(t_s) {
  const turn = Math.floor(t_s / BLINK_EVERY_S);
  const start_s = BLINK_EVERY_S * (0.25 + 0.6 * hash(turn));
  const phase = ((t_s % BLINK_EVERY_S) - start_s) / BLINK_S;
  if (phase <= 0 || phase >= 1) return 0;
  return phase < 0.35 ? smooth(phase / 0.35) : smooth((1 - phase) / 0.65); // lids fall faster than they rise
}

/**
 * @param {Expression} from @param {Expression} to @param {number} share of `to`, 0..1
 * @returns {Expression}
 */
export function blend(from, to, share) {
  const names = new Set([...Object.keys(from), ...Object.keys(to)]);
  return Object.fromEntries(
    [...names].map((name) => [name, (from[name] ?? 0) * (1 - share) + (to[name] ?? 0) * share]),
  );
}

function both(expression) {
  return Object.fromEntries(
    Object.entries(expression).flatMap(([stem, value]) => [
      [`${stem}Left`, value],
      [`${stem}Right`, value],
    ]),
  );
}

function scale(expression, factor) {
  return Object.fromEntries(
    Object.entries(expression).map(([name, value]) => [name, value * factor]),
  );
}

function viseme(index) {
  return VISEMES[Math.floor(hash(index) * VISEMES.length)];
}

/** The same number gives the same share of 1, without a pattern one would see. */
function hash(n) {
  const x = Math.sin(n * 127.1 + 11.7) * 43758.5453;
  return x - Math.floor(x);
}

function smooth(x) {
  return x * x * (3 - 2 * x);
}

function fade(x, length) {
  return smooth(Math.min(Math.max(x / length, 0), 1));
}
