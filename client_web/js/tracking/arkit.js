// How ARKit's coefficients belong together. Left and right are the person's own.

/** Movements in two directions along one axis: only their difference has a meaning. */
export const OPPOSITES = Object.freeze([
  ["eyeLookUpLeft", "eyeLookDownLeft"],
  ["eyeLookUpRight", "eyeLookDownRight"],
  ["eyeLookInLeft", "eyeLookOutLeft"],
  ["eyeLookInRight", "eyeLookOutRight"],
  ["jawLeft", "jawRight"],
  ["mouthLeft", "mouthRight"],
]);

/**
 * Return the name of the same movement seen in a mirror.
 *
 * @param {string} name
 * @returns {string}
 */
export function mirroredName(name) {
  if (name.endsWith("Left")) return `${name.slice(0, -4)}Right`;
  if (name.endsWith("Right")) return `${name.slice(0, -5)}Left`;
  return name;
}
