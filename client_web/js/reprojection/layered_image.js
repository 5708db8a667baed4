// Draws a head without background from a layered frame, with WebGL: the head's colours are the upper
// square of the frame, its coverage the lower one.

import { addAttribute, linearTexture, linkProgram } from "./webgl.js";

// `highp`, because 10 bits of `mediump` cannot tell the rows of a frame from one another. Each square
// is sampled up to the centres of its outermost texels only: beyond them a texel of the gap between
// both would be mixed in. Coverages near 0 and 1 count as these, because the encoder's noise would be
// a veil over the page, and holes in the head.
const VERTEX_SHADER = `
attribute vec2 corner;
varying vec2 place;
void main() {
  place = vec2(0.5 + 0.5 * corner.x, 0.5 - 0.5 * corner.y);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;
const FRAGMENT_SHADER = `
precision highp float;
uniform sampler2D image;
uniform vec2 size;
varying vec2 place;
const float UNCERTAIN = 0.024;
void main() {
  vec2 texel = clamp(place * size.x, 0.5, size.x - 0.5);
  vec2 below = vec2(0.0, size.y - size.x);
  vec3 colour = texture2D(image, texel / size).rgb;
  float luma = texture2D(image, (texel + below) / size).g;
  float cover = clamp((luma - UNCERTAIN) / (1.0 - 2.0 * UNCERTAIN), 0.0, 1.0);
  gl_FragColor = vec4(colour * cover, cover);
}`;
const CORNERS = new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]);

export class LayeredImage {
  #canvas;
  #gl;
  #size;

  /**
   * @param {HTMLCanvasElement} canvas its colours are multiplied with its coverage
   * @throws {Error} if the browser provides no WebGL
   */
  constructor(canvas) {
    const gl = canvas.getContext("webgl", { antialias: false, depth: false });
    if (!gl) throw new Error("expected a WebGL context, got none");
    this.#canvas = canvas;
    this.#gl = gl;
    const program = linkProgram(gl, VERTEX_SHADER, FRAGMENT_SHADER);
    gl.useProgram(program);
    addAttribute(gl, program, "corner", CORNERS, gl.STATIC_DRAW);
    this.#size = gl.getUniformLocation(program, "size");
    linearTexture(gl);
  }

  /**
   * Draw a frame.
   *
   * @param {HTMLVideoElement | HTMLCanvasElement} frame
   * @param {number} side_px rows and columns of the drawing
   */
  draw(frame, side_px) {
    const gl = this.#gl;
    const [columns, rows] =
      "videoWidth" in frame ? [frame.videoWidth, frame.videoHeight] : [frame.width, frame.height];
    if (!columns || rows < 2 * columns) return; // of a session before, or not decoded yet
    if (this.#canvas.width !== side_px) {
      Object.assign(this.#canvas, { width: side_px, height: side_px });
    }
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, frame);
    gl.uniform2f(this.#size, columns, rows);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}
