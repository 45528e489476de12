// The few WebGL2 calls that need more than one line.

/** Compile and link; gives {id, uniforms: name → location}. Array uniforms are listed without "[0]". */
export function createProgram(gl, [vertex, fragment], attributes = []) {
  const id = gl.createProgram();
  const shaders = [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]].map(([type, source]) => {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(id, shader);
    return shader;
  });
  attributes.forEach((name, index) => gl.bindAttribLocation(id, index, name));
  gl.linkProgram(id);
  if (!gl.getProgramParameter(id, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error([...shaders.map((shader) => gl.getShaderInfoLog(shader)), gl.getProgramInfoLog(id)].join('\n'));
  }
  const uniforms = {};
  for (let i = 0; i < (gl.getProgramParameter(id, gl.ACTIVE_UNIFORMS) || 0); i++) {
    const {name} = gl.getActiveUniform(id, i);
    uniforms[name.replace('[0]', '')] = gl.getUniformLocation(id, name);
  }
  return {id, uniforms};
}

/** An immutable texture without filtering, bound to `unit`. */
export function createTexture(gl, unit, format, width, height) {
  const id = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, id);
  gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
  for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
  return id;
}

/** A framebuffer that writes to several textures of one size at once. */
export function createLayers(gl, textures) {
  const framebuffer = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
  const places = textures.map((texture, index) => {
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + index, gl.TEXTURE_2D, texture, 0);
    return gl.COLOR_ATTACHMENT0 + index;
  });
  gl.drawBuffers(places);
  return {framebuffer, textures};
}

/** A picture to draw into, 16-bit float where the browser can blend it, with depth; sized on demand. */
export class Target {
  constructor(gl, unit) {
    this.gl = gl;
    this.unit = unit;
    this.width = this.height = 0;
    this.float = Boolean(gl.getExtension('EXT_color_buffer_float') || gl.getExtension('EXT_color_buffer_half_float'));
  }

  resize(width, height) {
    if (width === this.width && height === this.height) return;
    const {gl} = this;
    this.release();
    this.texture = createTexture(gl, this.unit, this.float ? gl.RGBA16F : gl.RGBA8, width, height);
    this.framebuffer = gl.createFramebuffer();
    this.depth = gl.createRenderbuffer();
    gl.bindRenderbuffer(gl.RENDERBUFFER, this.depth);
    gl.renderbufferStorage(gl.RENDERBUFFER, gl.DEPTH_COMPONENT24, width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.texture, 0);
    gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.RENDERBUFFER, this.depth);
    [this.width, this.height] = [width, height];
    // A lost context also answers "incomplete": only a live one may fall back to 8 bits.
    const complete = gl.checkFramebufferStatus(gl.FRAMEBUFFER) === gl.FRAMEBUFFER_COMPLETE;
    if (!complete && !gl.isContextLost() && this.float) {
      this.float = false;
      this.width = 0;
      this.resize(width, height);
    }
  }

  release() {
    if (!this.framebuffer) return;
    this.gl.deleteFramebuffer(this.framebuffer);
    this.gl.deleteTexture(this.texture);
    this.gl.deleteRenderbuffer(this.depth);
    this.framebuffer = null;
  }
}
