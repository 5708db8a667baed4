// Mesh frames in binary, two fifths of the bytes of JSON; the server's side, `packed_mesh.py`, documents
// the layout.

const VERSION = 1;
// An int16 then holds a rotation's 1, 3.3 m and coefficients to 16: more is clamped.
const ROTATIONS_PER_UNIT = 32_767;
const TRANSLATIONS_PER_M = 1e4;
const COEFFICIENTS_PER_UNIT = 2000;
// Bytes: unaligned, which a DataView allows and a typed array does not.
const SEQ_AT = 1;
const CAPTURED_AT = 9;
const POSE_AT = 17;
const COEFFICIENTS_AT = POSE_AT + 7 * 2;
const LARGEST = 32_767;

/**
 * Write a frame for the publisher's route.
 *
 * @param {object} frame
 * @param {number} frame.seq
 * @param {number} frame.captured_at_ms this page's clock
 * @param {import("./messages.js").HeadPose} frame.head
 * @param {readonly number[]} frame.expression all coefficients in the avatar's order
 * @returns {ArrayBuffer}
 */
export function packedMesh({ seq, captured_at_ms, head, expression }) {
  const bytes = new ArrayBuffer(COEFFICIENTS_AT + expression.length * 2);
  const view = new DataView(bytes);
  view.setUint8(0, VERSION);
  view.setBigUint64(SEQ_AT, BigInt(seq), true);
  view.setFloat64(CAPTURED_AT, captured_at_ms, true);
  const steps = [
    ...head.rotation.map((part) => part * ROTATIONS_PER_UNIT),
    ...head.translation.map((metres) => metres * TRANSLATIONS_PER_M),
    ...expression.map((value) => value * COEFFICIENTS_PER_UNIT),
  ];
  steps.forEach((step, index) => {
    view.setInt16(POSE_AT + index * 2, within(Math.round(step)), true);
  });
  return bytes;
}

/** @param {number} step @returns {number} the nearest one that 16 bits hold: they would wrap around */
function within(step) {
  return Math.max(-LARGEST, Math.min(LARGEST, step));
}
