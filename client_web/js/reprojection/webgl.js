// What all drawing with WebGL needs.

/** @typedef {WebGLRenderingContext} Gl */

/**
 * Compile and link a program.
 *
 * @param {Gl} gl
 * @param {string} vertex source of the shader
 * @param {string} fragment
 * @returns {WebGLProgram}
 * @throws {Error} if that fails
 */
export function linkProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  addShader(gl, program, gl.VERTEX_SHADER, vertex);
  addShader(gl, program, gl.FRAGMENT_SHADER, fragment);
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(`WebGL: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}

/**
 * @param {Gl} gl
 * @param {WebGLProgram} program
 * @param {number} kind
 * @param {string} source
 */
function addShader(gl, program, kind, source) {
  const shader = gl.createShader(kind);
  if (!shader) return; // the context is lost: linking fails and reports it
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  gl.attachShader(program, shader);
}

/**
 * Give an attribute of two numbers per vertex its values.
 *
 * @param {Gl} gl
 * @param {WebGLProgram} program
 * @param {string} name
 * @param {Float32Array} values
 * @param {number} usage
 */
export function addAttribute(gl, program, name, values, usage) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, usage);
  const location = gl.getAttribLocation(program, name);
  gl.enableVertexAttribArray(location);
  gl.vertexAttribPointer(location, 2, gl.FLOAT, false, 0, 0);
  return buffer;
}

/**
 * Create a texture for images of any size.
 *
 * @param {Gl} gl
 */
export function linearTexture(gl) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
    gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  }
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
    gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
  }
  return texture;
}
