import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { packedMesh } from "../../../client_web/js/connection/packed_mesh.js";

// `tests/server/protocol/test_packed_mesh.py` reads the same bytes.
const known = JSON.parse(readFileSync(new URL("../packed_mesh.json", import.meta.url)));

test("a frame is packed as the server reads it", () => {
  assert.equal(Buffer.from(packedMesh(known.frame)).toString("hex"), known.packed);
});

test("a tracked mesh frame with the ARKit coefficients takes 135 bytes", () => {
  assert.equal(packedMesh({ ...known.frame, expression: Array(52).fill(0.5) }).byteLength, 135);
});

test("a value outside of 16 bits is clamped", () => {
  const head = { rotation: [0, 0, 0, 1], translation: [9, -9, 0] };
  const view = new DataView(packedMesh({ ...known.frame, head, expression: [20] }));
  assert.deepEqual(
    [25, 27, 31].map((at) => view.getInt16(at, true)),
    [32767, -32767, 32767],
  );
});
