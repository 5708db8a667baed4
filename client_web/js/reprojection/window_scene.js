// Draws frames through a window that stands in space, for the eyes of a headset, with WebGL. The frame
// of each eye was rendered from where that eye was: both together show depth.

import { addAttribute, linearTexture, linkProgram } from "./webgl.js";

const CORNERS = new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]);
const VERTEX_SHADER = `
attribute vec2 corner;
uniform mat4 place;
uniform mat3 image;
varying vec2 within;
varying vec3 texel;
void main() {
  within = corner;
  texel = image * vec3(corner, 1.0);
  gl_Position = place * vec4(corner, 0.0, 1.0);
}`;
// The border of the window fades into the dark: a hard edge would hold the eyes back from the face.
const FRAGMENT_SHADER = `
precision highp float;
uniform sampler2D frame;
varying vec2 within;
varying vec3 texel;
void main() {
  vec2 at = texel.xy / texel.z;
  vec3 color = texture2D(frame, vec2(0.5 + 0.5 * at.x, 0.5 - 0.5 * at.y)).rgb;
  float border = length(max(abs(within) - 0.7, 0.0)) / 0.3;
  gl_FragColor = vec4(color * smoothstep(1.0, 0.4, border), 1.0);
}`;

/**
 * @typedef {import("../connection/messages.js").Vector} Vector
 * @typedef {import("./screen_window.js").ScreenWindow} ScreenWindow
 *
 * @typedef {object} Camera of one eye, as WebXR reports it
 * @property {ArrayLike<number>} projection 4 x 4 by columns
 * @property {ArrayLike<number>} view from the room to the eye, 4 x 4 by columns
 * @property {{x: number, y: number, width: number, height: number}} viewport pixels
 */

export class WindowScene {
  #gl;
  #textures;
  #places;

  /**
   * @param {WebGLRenderingContext} gl
   * @throws {Error} if the shaders do not compile
   */
  constructor(gl) {
    this.#gl = gl;
    const program = linkProgram(gl, VERTEX_SHADER, FRAGMENT_SHADER);
    gl.useProgram(program);
    addAttribute(gl, program, "corner", CORNERS, gl.STATIC_DRAW);
    this.#textures = [linearTexture(gl), linearTexture(gl)];
    this.#places = {
      place: gl.getUniformLocation(program, "place"),
      image: gl.getUniformLocation(program, "image"),
    };
  }

  /**
   * Begin to draw.
   *
   * @param {WebGLFramebuffer | null} framebuffer of the headset
   */
  begin(framebuffer) {
    const gl = this.#gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  /**
   * Use the present frame of a video.
   *
   * @param {0 | 1} eye whose frame it is: left, right
   * @param {TexImageSource} source
   */
  setFrame(eye, source) {
    const gl = this.#gl;
    gl.bindTexture(gl.TEXTURE_2D, this.#textures[eye]);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, source);
  }

  /**
   * Draw the window for one eye.
   *
   * @param {0 | 1} eye whose frame is shown
   * @param {import("./screen_window.js").Homography} image from the window to that frame
   * @param {ScreenWindow} window in the room
   * @param {Camera} camera
   */
  draw(eye, image, window, { projection, view, viewport }) {
    const gl = this.#gl;
    const { x, y, width, height } = viewport;
    gl.viewport(x, y, width, height);
    gl.bindTexture(gl.TEXTURE_2D, this.#textures[eye]);
    const place = product(projection, product(view, modelOf(window)));
    gl.uniformMatrix4fv(this.#places.place, false, place);
    const [a, b, c, d, e, f, g, h, i] = image;
    gl.uniformMatrix3fv(this.#places.image, false, [a, d, g, b, e, h, c, f, i]);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}

/**
 * Return the place of a window, whose corners are at -1 and 1.
 *
 * @param {ScreenWindow} window
 * @returns {number[]} 4 x 4 by columns
 */
function modelOf({ center: [x, y, z], half_m }) {
  return [half_m, 0, 0, 0, 0, half_m, 0, 0, 0, 0, 1, 0, x, y, z, 1];
}

/**
 * Multiply two matrices, 4 x 4 by columns.
 *
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 * @returns {number[]}
 */
export function product(a, b) {
  return Array.from({ length: 16 }, (_, index) => {
    const [row, column] = [index % 4, 4 * Math.floor(index / 4)];
    let sum = 0;
    for (let k = 0; k < 4; k++) sum += a[row + 4 * k] * b[column + k];
    return sum;
  });
}
