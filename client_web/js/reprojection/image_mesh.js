// Draws an image as a triangle mesh whose vertices can be moved, with WebGL. Independent of poses.

import { addAttribute, linearTexture, linkProgram } from "./webgl.js";

const CELLS = 40; // per side; fine enough that straight edges show no corners
const EXTENT = 1.25; // the mesh goes beyond the image, so that its border extends where it shrinks

const VERTEX_SHADER = `
attribute vec2 source;
attribute vec2 moved;
varying vec2 texel;
void main() {
  texel = vec2(0.5 + 0.5 * source.x, 0.5 - 0.5 * source.y);
  gl_Position = vec4(moved, 0.0, 1.0);
}`;
const FRAGMENT_SHADER = `
precision mediump float;
uniform sampler2D image;
varying vec2 texel;
void main() {
  gl_FragColor = vec4(texture2D(image, texel).rgb, 1.0);
}`;

export class ImageMesh {
  #gl;
  #moved;
  #indices;
  #texture;

  /** Vertices in the image, x and y alternating, -1..1 and somewhat beyond. */
  sourcePositions = gridPositions();

  /**
   * @param {HTMLCanvasElement} canvas
   * @throws {Error} if the browser provides no WebGL
   */
  constructor(canvas) {
    const gl = canvas.getContext("webgl", { alpha: false, antialias: false });
    if (!gl) throw new Error("expected a WebGL context, got none");
    this.#gl = gl;
    const program = linkProgram(gl, VERTEX_SHADER, FRAGMENT_SHADER);
    gl.useProgram(program);
    addAttribute(gl, program, "source", this.sourcePositions, gl.STATIC_DRAW);
    this.#moved = addAttribute(gl, program, "moved", this.sourcePositions, gl.DYNAMIC_DRAW);
    this.#indices = gridIndices();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.#indices, gl.STATIC_DRAW);
    this.#texture = linearTexture(gl);
  }

  /**
   * Use the video's present frame as the image.
   *
   * @param {HTMLVideoElement} video
   */
  setImage(video) {
    const gl = this.#gl;
    gl.bindTexture(gl.TEXTURE_2D, this.#texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, video);
  }

  /**
   * Draw the mesh.
   *
   * @param {Float32Array} moved position of each vertex, in the order of `sourcePositions`
   */
  draw(moved) {
    const gl = this.#gl;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#moved);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, moved);
    gl.drawElements(gl.TRIANGLES, this.#indices.length, gl.UNSIGNED_SHORT, 0);
  }
}

/**
 * Return the vertices of the mesh, row by row from the top left.
 *
 * @returns {Float32Array} x and y alternating
 */
export function gridPositions() {
  const positions = new Float32Array((CELLS + 1) ** 2 * 2);
  let i = 0;
  for (let row = 0; row <= CELLS; row++) {
    for (let column = 0; column <= CELLS; column++) {
      positions[i++] = EXTENT * ((2 * column) / CELLS - 1);
      positions[i++] = EXTENT * (1 - (2 * row) / CELLS);
    }
  }
  return positions;
}

/**
 * Return the triangles of the mesh, two per cell.
 *
 * @returns {Uint16Array} three vertices per triangle
 */
export function gridIndices() {
  const indices = [];
  for (let row = 0; row < CELLS; row++) {
    for (let column = 0; column < CELLS; column++) {
      const a = row * (CELLS + 1) + column;
      const b = a + CELLS + 1;
      indices.push(a, b, a + 1, a + 1, b, b + 1);
    }
  }
  return new Uint16Array(indices);
}
