// Labels and groups of the avatar's expression coefficients, and which ones are left-right pairs.

/** The 52 ARKit names, used until the avatar's own are known. */
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

// `first` holds the most used coefficients; the others follow in the avatar's order.
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

// Where the words of the name would be misleading. Left and right are the person's own.
/** @type {Record<string, string>} */
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

// Both eyes look to one side when one turns inwards and the other outwards.
/** @type {Record<string, string>} */
const GAZE_PAIRS = {
  eyeLookInLeft: "eyeLookOutRight",
  eyeLookOutRight: "eyeLookInLeft",
  eyeLookOutLeft: "eyeLookInRight",
  eyeLookInRight: "eyeLookOutLeft",
};

/**
 * @typedef {object} Control one slider
 * @property {string} name the coefficient
 * @property {string} label without the side
 * @property {"left" | "right" | null} side of the person, if it has a counterpart
 * @property {string | null} partner the coefficient that moves along when sides are linked
 */

/**
 * Group coefficients for the panel.
 *
 * @param {readonly string[]} names in the avatar's order
 * @returns {{title: string, controls: Control[]}[]} without empty groups; unknown names are in "Other"
 */
export function groupCoefficients(names) {
  const known = new Set(names);
  const controls = names.map((name) => toControl(name, known));
  const groups = GROUPS.map(({ title, prefixes, first }) => ({
    title,
    controls: sortFirst(
      controls.filter(({ name }) => prefixes.some((prefix) => startsWithWord(name, prefix))),
      first,
    ),
  }));
  const grouped = new Set(groups.flatMap((group) => group.controls));
  groups.push({ title: "Other", controls: controls.filter((control) => !grouped.has(control)) });
  return groups
    .filter((group) => group.controls.length)
    .map((group) => ({ ...group, controls: besidePartners(group.controls) }));
}

/**
 * Return the coefficient of the other side that moves the same way.
 *
 * @param {string} name
 * @param {ReadonlySet<string>} known all names
 * @returns {string | null}
 */
export function partnerOf(name, known = new Set(ARKIT_NAMES)) {
  const partner = GAZE_PAIRS[name] ?? mirrorName(name);
  return partner && known.has(partner) ? partner : null;
}

/**
 * Return the label of a coefficient: "Smile" for "mouthSmileLeft".
 *
 * @param {string} name
 * @returns {string}
 */
export function labelOf(name) {
  const stem = mirrorName(name) ? name.replace(/(Left|Right)$/, "") : name;
  return SPECIAL_LABELS[name] ?? SPECIAL_LABELS[stem] ?? humanise(stem);
}

/**
 * @param {string} name
 * @param {ReadonlySet<string>} known
 * @returns {Control}
 */
function toControl(name, known) {
  const mirrored = mirrorName(name);
  const paired = mirrored !== null && known.has(mirrored) && !isShift(name);
  return {
    name,
    label: paired || isShift(name) ? labelOf(name) : (SPECIAL_LABELS[name] ?? humanise(name)),
    side: paired ? (name.endsWith("Left") ? "left" : "right") : null,
    partner: paired ? partnerOf(name, known) : null,
  };
}

/**
 * Tell whether a name is one direction of a movement: jawLeft and jawRight are not sides of the face.
 *
 * @param {string} name
 */
function isShift(name) {
  return /^[a-z]+(Left|Right)$/.test(name);
}

/**
 * @param {string} name
 * @returns {string | null}
 */
function mirrorName(name) {
  return isShift(name) ? null : swapSide(name);
}

/**
 * @param {string} name
 * @returns {string | null}
 */
function swapSide(name) {
  if (name.endsWith("Left")) return `${name.slice(0, -4)}Right`;
  if (name.endsWith("Right")) return `${name.slice(0, -5)}Left`;
  return null;
}

/**
 * @param {string} name
 * @param {string} prefix
 */
function startsWithWord(name, prefix) {
  return name.startsWith(prefix) && /^([A-Z]|$)/.test(name.slice(prefix.length));
}

/**
 * Turn a name into words without its group: "Look up" for "eyeLookUp".
 *
 * @param {string} name
 */
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

/**
 * Sort the controls named in `first` to the front.
 *
 * @param {readonly Control[]} controls
 * @param {readonly string[]} first
 */
function sortFirst(controls, first) {
  /** @param {Control} control */
  const order = ({ name }) => (first.includes(name) ? first.indexOf(name) : first.length);
  return [...controls].sort((a, b) => order(a) - order(b));
}

/**
 * Keep the order, but put each counterpart right after the first of its pair.
 *
 * @param {readonly Control[]} controls
 */
function besidePartners(controls) {
  const byName = new Map(controls.map((control) => [control.name, control]));
  /** @type {Set<Control>} */
  const ordered = new Set();
  for (const control of controls) {
    ordered.add(control);
    const counterpart = byName.get(control.partner ?? swapSide(control.name) ?? "");
    if (counterpart) ordered.add(counterpart);
  }
  return [...ordered];
}
