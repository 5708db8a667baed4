// The avatar's expression coefficients as people think of them: grouped, named, left with right.

/** The 52 ARKit names: what is offered until the avatar has told its own. */
export const ARKIT_NAMES = Object.freeze(
  (
    "browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff " +
    "cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight " +
    "eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight " +
    "eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawOpen jawRight " +
    "mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel " +
    "mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker " +
    "mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft " +
    "mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight " +
    "noseSneerLeft noseSneerRight tongueOut"
  ).split(" "),
);

// `first` is what people reach for first; the rest follows in the avatar's order.
const GROUPS = [
  { title: "Brow", prefixes: ["brow"], first: ["browInnerUp"] },
  { title: "Eyes", prefixes: ["eye"], first: ["eyeBlinkLeft", "eyeWideLeft", "eyeSquintLeft"] },
  { title: "Jaw and tongue", prefixes: ["jaw", "tongue"], first: ["jawOpen", "jawForward"] },
  {
    title: "Mouth",
    prefixes: ["mouth"],
    first: ["mouthSmileLeft", "mouthFrownLeft", "mouthPucker", "mouthFunnel"],
  },
  { title: "Cheeks and nose", prefixes: ["cheek", "nose"], first: [] },
];

// Where the plain words would mislead. Left and right are the person's own.
const SPECIAL_LABELS = {
  eyeLookInLeft: "Look right",
  eyeLookOutRight: "Look right",
  eyeLookOutLeft: "Look left",
  eyeLookInRight: "Look left",
  browInnerUp: "Raise inner",
  browOuterUp: "Raise outer",
  browDown: "Lower",
  jawOpen: "Open",
  jawForward: "Forward",
  jawLeft: "Shift left",
  jawRight: "Shift right",
  mouthLeft: "Shift left",
  mouthRight: "Shift right",
  mouthClose: "Close lips",
  mouthUpperUp: "Raise upper lip",
  mouthLowerDown: "Lower bottom lip",
  mouthRollUpper: "Roll upper lip in",
  mouthRollLower: "Roll bottom lip in",
  mouthShrugUpper: "Shrug upper lip",
  mouthShrugLower: "Shrug bottom lip",
  cheekPuff: "Puff cheeks",
  cheekSquint: "Raise cheeks",
  noseSneer: "Sneer",
  tongueOut: "Tongue out",
};

// Both eyes look to one side when one turns in and the other out.
const GAZE_PAIRS = {
  eyeLookInLeft: "eyeLookOutRight",
  eyeLookOutRight: "eyeLookInLeft",
  eyeLookOutLeft: "eyeLookInRight",
  eyeLookInRight: "eyeLookOutLeft",
};

/**
 * @typedef {object} Control one slider
 * @property {string} name the coefficient
 * @property {string} label what it does, without the side
 * @property {"left" | "right" | null} side of the person, where it has a counterpart
 * @property {string | null} partner the coefficient that moves along when sides are linked
 */

/**
 * @param {readonly string[]} names in the avatar's order
 * @returns {{title: string, controls: Control[]}[]} groups that have any; strangers under "Other"
 */
export function groupCoefficients(names) {
  const known = new Set(names);
  const controls = names.map((name) => toControl(name, known));
  const groups = GROUPS.map(({ title, prefixes, first }) => ({
    title,
    controls: firstOnes(
      controls.filter(({ name }) => prefixes.some((prefix) => startsWithWord(name, prefix))),
      first,
    ),
  }));
  const placed = new Set(groups.flatMap((group) => group.controls));
  groups.push({ title: "Other", controls: controls.filter((control) => !placed.has(control)) });
  return groups
    .filter((group) => group.controls.length)
    .map((group) => ({ ...group, controls: besidePartners(group.controls) }));
}

/** @returns {string | null} the coefficient of the other side that moves the same way */
export function partnerOf(name, known = new Set(ARKIT_NAMES)) {
  const partner = GAZE_PAIRS[name] ?? mirrorName(name);
  return partner && known.has(partner) ? partner : null;
}

/** @param {string} name @returns {string} "mouthSmileLeft" becomes "Smile" */
export function labelOf(name) {
  const stem = mirrorName(name) ? name.replace(/(Left|Right)$/, "") : name;
  return SPECIAL_LABELS[name] ?? SPECIAL_LABELS[stem] ?? humanise(stem);
}

function toControl(name, known) {
  const mirrored = mirrorName(name);
  const paired = mirrored !== null && known.has(mirrored) && !oneSidedShift(name);
  return {
    name,
    label: paired || oneSidedShift(name) ? labelOf(name) : (SPECIAL_LABELS[name] ?? humanise(name)),
    side: paired ? (name.endsWith("Left") ? "left" : "right") : null,
    partner: paired ? partnerOf(name, known) : null,
  };
}

/** jawLeft and jawRight are one movement's two directions, not two sides of the face. */
function oneSidedShift(name) {
  return /^[a-z]+(Left|Right)$/.test(name);
}

function mirrorName(name) {
  return oneSidedShift(name) ? null : swapSide(name);
}

function swapSide(name) {
  if (name.endsWith("Left")) return `${name.slice(0, -4)}Right`;
  if (name.endsWith("Right")) return `${name.slice(0, -5)}Left`;
  return null;
}

function startsWithWord(name, prefix) {
  return name.startsWith(prefix) && /^([A-Z]|$)/.test(name.slice(prefix.length));
}

/** "eyeLookUp" becomes "Look up": the group's title already says whose it is. */
function humanise(name) {
  const words = name
    .replace(/[_-]+/g, " ")
    .replace(/([a-z])([A-Z0-9])/g, "$1 $2")
    .toLowerCase();
  const parts = words.split(" ");
  const prefixes = GROUPS.flatMap((group) => group.prefixes);
  const rest = parts.length > 1 && prefixes.includes(parts[0]) ? parts.slice(1) : parts;
  const text = rest.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function firstOnes(controls, first) {
  const place = ({ name }) => (first.includes(name) ? first.indexOf(name) : first.length);
  return [...controls].sort((a, b) => place(a) - place(b));
}

/** The same order, but each counterpart right after the first of its pair. */
function besidePartners(controls) {
  const byName = new Map(controls.map((control) => [control.name, control]));
  const ordered = new Set();
  for (const control of controls) {
    ordered.add(control);
    const counterpart = byName.get(control.partner ?? swapSide(control.name));
    if (counterpart) ordered.add(counterpart);
  }
  return [...ordered];
}
