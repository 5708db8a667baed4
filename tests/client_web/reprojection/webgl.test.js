import assert from "node:assert/strict";
import { test } from "node:test";

import { LayeredImage } from "../../../client_web/js/reprojection/layered_image.js";
import { linkProgram } from "../../../client_web/js/reprojection/webgl.js";
import { FakeElement, fakeGl } from "../fakes.js";

test("a program that does not link is an error with the driver's words", () => {
  const gl = fakeGl({ getProgramParameter: () => false, getProgramInfoLog: () => "no varying" });
  assert.throws(() => linkProgram(gl, "vertex", "fragment"), { message: "WebGL: no varying" });
});

test("with a lost context no shader is compiled, and linking reports it", () => {
  const compiled = [];
  const gl = fakeGl({
    createShader: () => null,
    compileShader: (shader) => compiled.push(shader),
    getProgramParameter: () => false,
    getProgramInfoLog: () => null,
  });
  assert.throws(() => linkProgram(gl, "vertex", "fragment"), /WebGL/);
  assert.deepEqual(compiled, []);
});

test("a layered frame is drawn only if it has both squares, and the canvas keeps its size", () => {
  const drawn = [];
  const resized = [];
  const canvas = Object.assign(new FakeElement(), {
    getContext: () => fakeGl({ uniform2f: (_location, ...size) => drawn.push(size) }),
  });
  let width = 0;
  Object.defineProperty(canvas, "width", {
    get: () => width,
    set: (value) => {
      width = value;
      resized.push(value);
    },
  });
  const image = new LayeredImage(canvas);
  image.draw({ videoWidth: 320, videoHeight: 639 }, 500);
  assert.deepEqual(drawn, []);
  image.draw({ videoWidth: 320, videoHeight: 640 }, 500);
  image.draw({ width: 64, height: 144 }, 500);
  assert.deepEqual(drawn, [
    [320, 640],
    [64, 144],
  ]);
  assert.deepEqual(resized, [500], "setting a canvas's size clears it");
});

test("a canvas without WebGL is an error", () => {
  const canvas = Object.assign(new FakeElement(), { getContext: () => null });
  assert.throws(() => new LayeredImage(canvas), /expected a WebGL context/);
});
