import assert from "node:assert/strict";
import { test } from "node:test";

import { borderColour } from "../../../client_web/js/panels/backdrop.js";

test("the page gets the colour of the image's upper border, independent of its middle", () => {
  const side = 8;
  const rgba = new Uint8ClampedArray(side * side * 4);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const border = y === 0 || ((x === 0 || x === side - 1) && y < side / 2);
      rgba.set(border ? [20, 22, 30, 255] : [200, 140, 110, 255], (y * side + x) * 4);
    }
  }
  rgba.set([255, 255, 255, 255], 0); // one outlier does not change the colour
  assert.deepEqual(borderColour(rgba, side), [20, 22, 30]);
});
