// Draws a picture as a net of triangles whose corners may be moved, by WebGL. Knows nothing of poses.

const CELLS = 40; // fine enough that edges do not show corners
const REACH = 1.25; // beyond the picture, so that its border is carried on where the net moves in

const VERTEX = `
attribute vec2 place;
attribute vec2 moved;
varying vec2 texel;
void main() {
  texel = vec2(0.5 + 0.5 * place.x, 0.5 - 0.5 * place.y);
  gl_Position = vec4(moved, 0.0, 1.0);
}`;
const FRAGMENT = `
precision mediump float;
uniform sampler2D picture;
varying vec2 texel;
void main() {
  gl_FragColor = vec4(texture2D(picture, texel).rgb, 1.0);
}`;

export class PictureMesh {
  #gl;
  #moved;
  #indices;
  #texture;

  /** Corners of the net in the picture, x and y by turns, -1..1 and somewhat beyond. */
  places = corners();

  /** @param {HTMLCanvasElement} canvas @throws {Error} if the browser has no WebGL to give */
  constructor(canvas) {
    const gl = canvas.getContext("webgl", { alpha: false, antialias: false });
    if (!gl) throw new Error("no WebGL");
    this.#gl = gl;
    const program = link(gl);
    gl.useProgram(program);
    attribute(gl, program, "place", this.places, gl.STATIC_DRAW);
    this.#moved = attribute(gl, program, "moved", this.places, gl.DYNAMIC_DRAW);
    this.#indices = triangles();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.#indices, gl.STATIC_DRAW);
    this.#texture = smoothTexture(gl);
  }

  /** @param {HTMLVideoElement} video whose present frame is drawn from now on */
  take(video) {
    const gl = this.#gl;
    gl.bindTexture(gl.TEXTURE_2D, this.#texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, video);
  }

  /** @param {Float32Array} moved where each corner goes */
  draw(moved) {
    const gl = this.#gl;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#moved);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, moved);
    gl.drawElements(gl.TRIANGLES, this.#indices.length, gl.UNSIGNED_SHORT, 0);
  }
}

function corners() {
  const places = new Float32Array((CELLS + 1) ** 2 * 2);
  let i = 0;
  for (let row = 0; row <= CELLS; row++) {
    for (let column = 0; column <= CELLS; column++) {
      places[i++] = REACH * ((2 * column) / CELLS - 1);
      places[i++] = REACH * (1 - (2 * row) / CELLS);
    }
  }
  return places;
}

function triangles() {
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

function link(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS))
    throw new Error(`WebGL: ${gl.getProgramInfoLog(program)}`);
  return program;
}

function attribute(gl, program, name, values, usage) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, usage);
  const location = gl.getAttribLocation(program, name);
  gl.enableVertexAttribArray(location);
  gl.vertexAttribPointer(location, 2, gl.FLOAT, false, 0, 0);
  return buffer;
}

function smoothTexture(gl) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
    gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
    gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
  return texture;
}
