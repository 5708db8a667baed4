// What the tracker finds in an image: types alone, for the page and for its workers.

/**
 * @typedef {object} Face
 * @property {Record<string, number>} coefficients 0..1 by ARKit name; left and right are the person's
 * @property {number[]} matrix 4 x 4 by columns: the face model (centimetres, +X to the person's left,
 *   +Y up, +Z out of the face) to the camera (which looks along its own -Z)
 * @property {Float32Array} landmarks (478, 2): x and y, 0..1 from the upper left of the image
 *
 * @typedef {{face: Face | null, tracking_ms: number}} Detection face: null if there is none
 * @typedef {{mesh: Uint16Array, contours: Uint16Array}} Connections pairs of landmarks
 */

export {};
