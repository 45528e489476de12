// Draws splats with WebGL2: one pass turns quantised splats and triangle frames into ellipses on the screen, one draws
// them in order as quads, 128 per instance, premultiplied "over" into a float picture, one puts it on the background.
// The plain mesh serves below a half-loaded head and as an overlay.

import {ROW} from './chunks.js';
import {createLayers, createProgram, createTexture, Target} from './gpu.js';
import {FRAMES_PER_ROW, FRAME_TEXELS} from './rig.js';
import {BATCH, LAYERS, MESH_SHADERS, projectionShaders, QUAD_SHADERS, RESOLVE_SHADERS} from './shaders.js';

const FRAMES_UNIT = 0, ATTRIBUTES_UNIT = 1, COLORS_UNIT = 2, ORDER_UNIT = 3, SH_UNIT = 4, TARGET_UNIT = 5;
const ELLIPSES_UNIT = 6, SHADES_UNIT = 7;
const NEAR = 0.01, FAR = 100; // metres
const GROWN_SIZE = 0.0035; // metres: long strands must not grow, or half-loaded hair stands on end

export class SplatRenderer {
  /** Null when this browser has no WebGL2. */
  static create(canvas) {
    const options = {antialias: false, alpha: true, depth: false, stencil: false, powerPreference: 'high-performance'};
    const gl = canvas.getContext('webgl2', options);
    return gl && new SplatRenderer(gl);
  }

  constructor(gl) {
    this.gl = gl;
    this.growth = new Float32Array(LAYERS).fill(1);
    this.restore();
  }

  /** Everything that dies with the context but does not depend on an avatar. */
  restore() {
    const {gl} = this;
    this.mesh = createProgram(gl, MESH_SHADERS, ['aPosition', 'aColor']);
    this.resolve = createProgram(gl, RESOLVE_SHADERS);
    gl.useProgram(this.resolve.id);
    gl.uniform1i(this.resolve.uniforms.uImage, TARGET_UNIT);
    this.splats = createProgram(gl, QUAD_SHADERS);
    gl.useProgram(this.splats.id);
    gl.uniform1i(this.splats.uniforms.uOrder, ORDER_UNIT);
    gl.uniform1i(this.splats.uniforms.uEllipses, ELLIPSES_UNIT);
    gl.uniform1i(this.splats.uniforms.uShades, SHADES_UNIT);
    this.target = new Target(gl, TARGET_UNIT);
    this.quads = gl.createVertexArray();
    const corners = new Uint16Array(6 * BATCH);
    for (let i = 0; i < BATCH; i++) corners.set([0, 1, 2, 2, 1, 3].map((corner) => corner + 4 * i), 6 * i);
    gl.bindVertexArray(this.quads);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    this.avatar = null;
  }

  /** Textures and buffers of one avatar; also uploads what has already arrived. */
  prepare(rig, store, extension) {
    this.release();
    const {gl} = this;
    const texture = (unit, format, width, height) => createTexture(gl, unit, format, width, height);
    const shDegree = Math.sqrt(store.shCoefficients) - 1;
    const antialiased = extension.rasterizeMode === 'antialiased';
    this.projection = createProgram(gl, projectionShaders({shDegree, shTexels: store.shTexels, antialiased}));
    this.textures = [
      texture(FRAMES_UNIT, gl.RGBA32F, FRAMES_PER_ROW * FRAME_TEXELS, rig.frameRows),
      texture(ATTRIBUTES_UNIT, gl.RGBA32UI, ROW, store.rows),
      texture(COLORS_UNIT, gl.R32UI, ROW, store.rows),
      texture(ORDER_UNIT, gl.R32UI, ROW, store.rows),
    ];
    if (shDegree) this.textures.push(texture(SH_UNIT, gl.RGBA32UI, ROW, store.rows * store.shTexels));
    this.projected = createLayers(gl, [
      texture(ELLIPSES_UNIT, gl.RGBA32UI, ROW, store.rows), texture(SHADES_UNIT, gl.RGBA32UI, ROW, store.rows),
    ]);
    this.setConstants(store, extension);
    this.prepareMesh(rig);
    this.avatar = {rig, store};
    if (store.count) this.uploadSplats(0, store.count);
  }

  setConstants(store, extension) {
    const {gl, projection: {id, uniforms: u}} = this;
    gl.useProgram(id);
    const units = {uFrames: FRAMES_UNIT, uAttributes: ATTRIBUTES_UNIT, uColors: COLORS_UNIT, uSh: SH_UNIT};
    for (const [name, unit] of Object.entries(units)) if (u[name]) gl.uniform1i(u[name], unit);
    const table = (field) => new Float32Array(3 * LAYERS).map((_, i) => store.layers[Math.floor(i / 3)]?.[field][i % 3] ?? 0);
    gl.uniform3fv(u.uMean, table('mean'));
    gl.uniform3fv(u.uLogScale, table('logScale'));
    gl.uniform3fv(u.uLogStep, table('logStep'));
    const [low, high] = extension.colorRange;
    gl.uniform2f(u.uColorRange, low, high - low);
    gl.uniform1f(u.uGrownSize, GROWN_SIZE);
    if (u.uShRange) gl.uniform1f(u.uShRange, extension.shRange);
  }

  prepareMesh(rig) {
    const {gl} = this;
    this.positions = gl.createBuffer();
    const colors = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.positions);
    gl.bufferData(gl.ARRAY_BUFFER, rig.vertices.byteLength, gl.DYNAMIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, colors);
    gl.bufferData(gl.ARRAY_BUFFER, rig.colors, gl.STATIC_DRAW);
    const attach = (indices) => {
      const array = gl.createVertexArray(), elements = gl.createBuffer();
      gl.bindVertexArray(array);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, elements);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.positions);
      gl.enableVertexAttribArray(0);
      gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
      gl.bindBuffer(gl.ARRAY_BUFFER, colors);
      gl.enableVertexAttribArray(1);
      gl.vertexAttribPointer(1, 4, gl.FLOAT, false, 0, 0);
      gl.bindVertexArray(null);
      return {array, elements, count: indices.length};
    };
    this.triangles = attach(rig.faces.subarray(0, rig.drawnIndices));
    this.lines = attach(rig.edges());
    this.buffers = [this.positions, colors, this.triangles.elements, this.lines.elements];
  }

  /** Splats `first`…`first + count − 1` of the store, whole texture rows. */
  uploadSplats(first, count) {
    const {gl, avatar: {store}} = this;
    const row = Math.floor(first / ROW), rows = Math.ceil((first + count) / ROW) - row;
    this.upload(ATTRIBUTES_UNIT, 1, row, ROW, rows, gl.RGBA_INTEGER, gl.UNSIGNED_INT, store.attributes, 4 * ROW * row);
    this.upload(COLORS_UNIT, 2, row, ROW, rows, gl.RED_INTEGER, gl.UNSIGNED_INT, store.colors, ROW * row);
    if (store.shTexels) {
      const words = new Uint32Array(store.sh.buffer), top = row * store.shTexels;
      this.upload(SH_UNIT, 4, top, ROW, rows * store.shTexels, gl.RGBA_INTEGER, gl.UNSIGNED_INT, words, 4 * ROW * top);
    }
    for (let layer = 0; layer < store.layers.length; layer++) this.growth[layer] = store.growth(layer);
  }

  uploadPose() {
    const {gl, avatar: {rig}} = this;
    const width = FRAMES_PER_ROW * FRAME_TEXELS;
    this.upload(FRAMES_UNIT, 0, 0, width, rig.frameRows, gl.RGBA, gl.FLOAT, rig.frames, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.positions);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, rig.vertices);
  }

  uploadOrder() {
    const {gl, avatar: {store}} = this;
    this.upload(ORDER_UNIT, 3, 0, ROW, Math.ceil(store.count / ROW), gl.RED_INTEGER, gl.UNSIGNED_INT, store.order, 0);
  }

  upload(unit, index, row, width, rows, format, type, data, offset) {
    const {gl} = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, this.textures[index]);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, row, width, rows, format, type, data, offset);
  }

  /**
   * One picture. `camera` as `OrbitCamera`; `background` premultiplied rgba; `overlay` null or the premultiplied rgba of
   * the wireframe.
   */
  draw(camera, background, overlay) {
    const {gl, target, avatar} = this;
    target.resize(camera.width, camera.height);
    if (avatar?.store.count) this.project(camera, avatar.store);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.framebuffer);
    gl.viewport(0, 0, camera.width, camera.height);
    gl.depthMask(true);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (avatar) {
      if (!avatar.store.complete) this.drawMesh(camera);
      if (avatar.store.count) this.drawSplats(camera, avatar.store);
      if (overlay) this.drawWireframe(camera, overlay);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.disable(gl.BLEND);
    gl.disable(gl.DEPTH_TEST);
    gl.useProgram(this.resolve.id);
    gl.activeTexture(gl.TEXTURE0 + TARGET_UNIT);
    gl.bindTexture(gl.TEXTURE_2D, target.texture);
    gl.uniform4fv(this.resolve.uniforms.uBackground, background);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Ellipses of all splats for this pose and view. */
  project(camera, store) {
    const {gl, projection: {id, uniforms: u}} = this;
    gl.useProgram(id);
    this.setCamera(u, camera);
    gl.uniform1i(u.uCount, store.count);
    gl.uniform1fv(u.uGrowth, this.growth);
    if (u.uEye) gl.uniform3fv(u.uEye, camera.eye);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.projected.framebuffer);
    gl.viewport(0, 0, ROW, Math.ceil(store.count / ROW));
    gl.disable(gl.BLEND);
    gl.disable(gl.DEPTH_TEST);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  drawSplats(camera, store) {
    const {gl, splats: {id, uniforms: u}} = this;
    gl.useProgram(id);
    this.setCamera(u, camera);
    gl.uniform1i(u.uCount, store.count);
    gl.bindVertexArray(this.quads);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    if (store.complete) gl.disable(gl.DEPTH_TEST);
    else gl.enable(gl.DEPTH_TEST);
    gl.depthMask(false);
    gl.drawElementsInstanced(gl.TRIANGLES, 6 * BATCH, gl.UNSIGNED_SHORT, 0, Math.ceil(store.count / BATCH));
  }

  /** The plain mesh in its vertex colours. */
  drawMesh(camera) {
    const {gl} = this;
    gl.disable(gl.BLEND);
    this.startMesh(camera, this.triangles);
    gl.uniform4f(this.mesh.uniforms.uTint, 0, 0, 0, 0);
    gl.drawElements(gl.TRIANGLES, this.triangles.count, gl.UNSIGNED_SHORT, 0);
  }

  /** Front edges only: the triangles go into the depth buffer first, a little behind their lines. */
  drawWireframe(camera, color) {
    const {gl} = this;
    gl.depthMask(true);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    gl.colorMask(false, false, false, false);
    gl.enable(gl.POLYGON_OFFSET_FILL);
    gl.polygonOffset(1, 2);
    this.startMesh(camera, this.triangles);
    gl.drawElements(gl.TRIANGLES, this.triangles.count, gl.UNSIGNED_SHORT, 0);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    gl.colorMask(true, true, true, true);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.startMesh(camera, this.lines);
    gl.uniform4fv(this.mesh.uniforms.uTint, color);
    gl.drawElements(gl.LINES, this.lines.count, gl.UNSIGNED_SHORT, 0);
  }

  startMesh(camera, part) {
    const {gl} = this;
    gl.useProgram(this.mesh.id);
    this.setCamera(this.mesh.uniforms, camera);
    gl.bindVertexArray(part.array);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
  }

  setCamera(uniforms, camera) {
    const {gl} = this;
    gl.uniformMatrix4fv(uniforms.uView, false, camera.view);
    gl.uniform4fv(uniforms.uK, camera.intrinsics);
    gl.uniform4f(uniforms.uFrustum, camera.width, camera.height, NEAR, FAR);
  }

  /** Free what belongs to the avatar. */
  release() {
    if (!this.avatar) return;
    const {gl} = this;
    this.textures.forEach((texture) => gl.deleteTexture(texture));
    this.buffers.forEach((buffer) => gl.deleteBuffer(buffer));
    [this.triangles, this.lines].forEach(({array}) => gl.deleteVertexArray(array));
    gl.deleteFramebuffer(this.projected.framebuffer);
    this.projected.textures.forEach((texture) => gl.deleteTexture(texture));
    gl.deleteProgram(this.projection.id);
    this.avatar = null;
    this.growth.fill(1);
  }

  /** Give the context back at once: browsers keep about sixteen alive. */
  dispose() {
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}
