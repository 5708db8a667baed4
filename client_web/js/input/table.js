// The table of a call: who sits on whose left, and at which angle people see each other.
//
// Everybody sits in front of a screen with a tile for each other person. For gaze to make sense, a head
// is shown from the direction in which its person sees the viewer's tile: a head that is turned towards
// that tile is then seen from the front, and looks at the viewer. Seats are numbered clockwise, seen from
// above, and tiles follow the table from left to right, so that a head that is turned towards a third
// person is turned to that person's side.

/**
 * @typedef {import("../connection/call_connection.js").Direction} Direction
 *
 * @typedef {{yaw_rad: number, pitch_rad: number}} Angles to the left of the one who looks, and upwards
 *
 * @typedef {object} Screen
 * @property {number} pixel_m side of a CSS pixel, metres
 * @property {number} distance_m from the eyes
 */

const NEIGHBOUR_RAD = 0.16; // between tiles that are 12 cm apart, seen from 75 cm

/** A wider angle would show the side of a head whose person looks nearly straight ahead. */
export const WIDEST_RAD = 0.5;

/**
 * Sort people as they are seen from a seat, from the left to the right.
 *
 * @template {{seat: number}} T
 * @param {readonly T[]} people the one on the seat is left out
 * @param {number} own seat
 * @param {number} seats of the table
 * @returns {T[]}
 */
export function leftToRight(people, own, seats) {
  /** @param {T} person */
  const place = ({ seat }) => (seat - own + seats) % seats;
  return people.filter(({ seat }) => seat !== own).sort((a, b) => place(a) - place(b));
}

/**
 * Return the direction of a point on the screen.
 *
 * @param {number} right_px from the middle of the screen
 * @param {number} down_px
 * @param {Screen} screen
 * @returns {Angles}
 */
export function directionOf(right_px, down_px, { pixel_m, distance_m }) {
  const [right_m, down_m] = [right_px * pixel_m, down_px * pixel_m];
  return limited({
    yaw_rad: Math.atan2(-right_m, distance_m),
    pitch_rad: Math.atan2(-down_m, Math.hypot(right_m, distance_m)),
  });
}

/**
 * Return the direction in which a person sees a seat: as told or, before that, as around a table.
 *
 * @param {{seat: number, directions: readonly Direction[]}} person
 * @param {number} own seat
 * @param {readonly {seat: number}[]} people all of them
 * @param {number} seats of the table
 * @returns {Angles}
 */
export function directionTowards(person, own, people, seats) {
  const told = person.directions.find(({ seat }) => seat === own);
  if (told) return limited(told);
  const seen = leftToRight(people, person.seat, seats);
  const place = seen.findIndex(({ seat }) => seat === own);
  const middle = (seen.length - 1) / 2;
  return { yaw_rad: place < 0 ? 0 : (middle - place) * NEIGHBOUR_RAD, pitch_rad: 0 };
}

/**
 * @param {Angles} angles
 * @returns {Angles}
 */
function limited({ yaw_rad, pitch_rad }) {
  /** @param {number} angle_rad */
  const limit = (angle_rad) => Math.min(Math.max(angle_rad, -WIDEST_RAD), WIDEST_RAD);
  return { yaw_rad: limit(yaw_rad), pitch_rad: limit(pitch_rad) };
}
