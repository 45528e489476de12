// The rig on the CPU: sparse blendshapes, pose correctives, linear blend skinning, one frame per triangle.
// The same formulas as pipeline/heads/rig.py and pipeline/geometry.py. Nothing is allocated while it moves.

import {demand, whole} from './glb.js';

const INFLUENCES = 4;
const SMALLEST_EDGE = 1e-9; // metres, as SMALLEST_EDGE in pipeline/geometry.py
export const FRAME_TEXELS = 3; // rows of [k·R | T], a vec4 each
export const FRAMES_PER_ROW = 512;

export class Rig {
  /** Needs the views of `Rig.firstViews`; morph targets may come later through `readTargets`. */
  constructor(document, extension) {
    const {json} = document;
    const primitive = json.meshes?.[whole(extension.mesh)]?.primitives?.[0];
    const skin = json.skins?.[0];
    demand(primitive?.attributes && Array.isArray(skin?.joints) && skin.joints.length > 0, 'it has no skinned mesh');
    const {POSITION, COLOR_0, JOINTS_0, WEIGHTS_0} = primitive.attributes;
    this.readJoints(document, skin);
    this.grid = document.array(POSITION, true);
    this.vertexCount = this.grid.length / 3;
    this.colors = document.array(COLOR_0, true);
    this.influences = document.array(JOINTS_0);
    this.weights = document.array(WEIGHTS_0, true);
    this.faces = document.array(extension.frameIndices);
    this.drawnIndices = whole(document.accessor(primitive.indices).count);
    this.faceCount = this.faces.length / 3;
    this.checkMesh();

    this.expressionNames = json.meshes[extension.mesh].extras?.targetNames ?? [];
    this.targetAccessors = (primitive.targets ?? []).map((target) => target.POSITION);
    demand(this.expressionNames.length === this.targetAccessors.length, 'its morph targets have no names');
    this.correctiveAccessors = extension.poseCorrectives ?? [];
    demand([0, 9 * (this.jointCount - 1)].includes(this.correctiveAccessors.length), 'its pose correctives do not fit its joints');
    this.jointDirAccessor = extension.jointDirs ?? null;
    this.jointDirs = null;
    this.posedJoints = Float64Array.from(this.joints);
    this.targets = [];

    this.expression = new Float32Array(this.expressionNames.length);
    this.rotations = new Float32Array(3 * this.jointCount);
    this.rest = this.dequantize();
    this.shaped = new Float32Array(this.rest.length);
    this.vertices = new Float32Array(this.rest.length);
    this.frameRows = Math.ceil(this.faceCount / FRAMES_PER_ROW);
    this.frames = new Float32Array(this.frameRows * FRAMES_PER_ROW * FRAME_TEXELS * 4);
  }

  /** The buffer views without which there is no mesh to show. */
  static firstViews(document, extension) {
    const primitive = document.json.meshes?.[extension.mesh]?.primitives?.[0];
    const accessors = [...Object.values(primitive?.attributes ?? {}), extension.frameIndices];
    accessors.push(document.json.skins?.[0]?.inverseBindMatrices);
    return accessors.flatMap((index) => document.viewsOf(index));
  }

  /** The buffer views of all morph targets and correctives. */
  targetViews(document) {
    const accessors = [...this.targetAccessors, ...this.correctiveAccessors];
    if (this.jointDirAccessor !== null) accessors.push(this.jointDirAccessor);
    return accessors.flatMap((index) => document.viewsOf(index));
  }

  readTargets(document) {
    this.targets = [...this.targetAccessors, ...this.correctiveAccessors]
      .map((index) => document.sparseVectors(index, this.vertexCount));
    if (this.jointDirAccessor === null) return;
    const dirs = document.array(this.jointDirAccessor, true);
    demand(dirs.length === this.expression.length * this.joints.length, 'its joint directions do not fit its joints');
    this.jointDirs = dirs;
  }

  readJoints(document, skin) {
    const nodes = skin.joints.map((index) => document.json.nodes?.[whole(index)]);
    demand(nodes.every((node) => node), 'a joint is missing');
    this.jointCount = nodes.length;
    this.jointNames = nodes.map((node) => String(node.name));
    this.parents = skin.joints.map((index) => nodes.findIndex((node) => node.children?.includes(index)));
    this.joints = new Float64Array(3 * nodes.length);
    nodes.forEach((node, j) => {
      const parent = this.parents[j];
      demand(parent < j, 'its joints are not ordered parents first');
      const offset = node.translation ?? [0, 0, 0];
      for (let c = 0; c < 3; c++) this.joints[3 * j + c] = offset[c] + (parent < 0 ? 0 : this.joints[3 * parent + c]);
    });
    this.inverseBind = document.array(skin.inverseBindMatrices, true);
    demand(this.inverseBind.length === 16 * nodes.length, 'it has not one inverse bind matrix per joint');
    this.local = new Float64Array(9);
    this.world = new Float64Array(12 * nodes.length);
  }

  checkMesh() {
    const {vertexCount: n} = this;
    demand(this.colors.length === 4 * n && this.weights.length === INFLUENCES * n, 'its vertex attributes differ in length');
    demand(this.influences.length === INFLUENCES * n && this.influences.every((j) => j < this.jointCount), 'a skin weight has no joint');
    demand(this.faceCount > 0 && Number.isInteger(this.faceCount) && this.faces.every((v) => v < n), 'a triangle has no vertex');
    demand(this.drawnIndices <= this.faces.length, 'it draws more triangles than it has');
  }

  /** The grid's step and centre stand in the inverse bind matrices; see FORMAT.md, "Mesh". */
  dequantize() {
    const rest = new Float32Array(this.grid.length);
    this.half = this.inverseBind[0];
    for (let i = 0; i < rest.length; i++) {
      const axis = i % 3;
      rest[i] = this.grid[i] * this.half + this.inverseBind[12 + axis] + this.joints[axis];
    }
    return rest;
  }

  jointIndex(name) {
    return this.jointNames.indexOf(name);
  }

  expressionIndex(name) {
    return this.expressionNames.indexOf(name);
  }

  /** `expression` and `rotations` (axis-angle, radians, relative to the parent) → vertices and frames. */
  pose() {
    this.poseJoints();
    this.shape();
    this.skin();
    this.buildFrames();
  }

  shape() {
    this.shaped.set(this.rest);
    const expressions = this.expression.length;
    for (let t = 0; t < this.targets.length; t++) {
      const weight = t < expressions ? this.expression[t] : this.corrective[t - expressions];
      if (weight !== 0 && this.targets[t]) addTarget(this.shaped, this.targets[t], weight * this.half / 32767);
    }
  }

  /** Where the expression moves the joints to, before any rotation: those of FLAME and SMPL-X follow the surface. */
  placeJoints() {
    const {joints, posedJoints: P, jointDirs: D, expression} = this;
    if (!D) return;
    P.set(joints);
    for (let e = 0, d = 0; e < expression.length; e++, d += P.length) {
      const weight = expression[e];
      if (weight === 0) continue;
      for (let i = 0; i < P.length; i++) P[i] += weight * D[d + i];
    }
  }

  /** Rest-to-posed transforms of the joints, rows of 3 × 4, along the tree. */
  poseJoints() {
    this.placeJoints();
    const {world: W, local: R, posedJoints: joints} = this;
    if (this.correctiveAccessors.length) this.corrective ??= new Float64Array(this.correctiveAccessors.length);
    for (let j = 0; j < this.jointCount; j++) {
      rotationMatrix(R, this.rotations, 3 * j);
      if (j > 0 && this.corrective) {
        for (let i = 0; i < 9; i++) this.corrective[9 * (j - 1) + i] = R[i] - (i % 4 === 0 ? 1 : 0);
      }
      const x = joints[3 * j], y = joints[3 * j + 1], z = joints[3 * j + 2];
      const tx = x - R[0] * x - R[1] * y - R[2] * z;
      const ty = y - R[3] * x - R[4] * y - R[5] * z;
      const tz = z - R[6] * x - R[7] * y - R[8] * z;
      const m = 12 * j, p = 12 * this.parents[j];
      for (let r = 0; r < 3; r++) {
        const a = p < 0 ? (r === 0 ? 1 : 0) : W[p + 4 * r];
        const b = p < 0 ? (r === 1 ? 1 : 0) : W[p + 4 * r + 1];
        const c = p < 0 ? (r === 2 ? 1 : 0) : W[p + 4 * r + 2];
        const d = p < 0 ? 0 : W[p + 4 * r + 3];
        const o = m + 4 * r;
        W[o] = a * R[0] + b * R[3] + c * R[6];
        W[o + 1] = a * R[1] + b * R[4] + c * R[7];
        W[o + 2] = a * R[2] + b * R[5] + c * R[8];
        W[o + 3] = a * tx + b * ty + c * tz + d;
      }
    }
  }

  skin() {
    const {shaped: P, vertices: V, influences: J, weights: B, world: W, vertexCount: n} = this;
    for (let v = 0; v < n; v++) {
      const i = 3 * v, x = P[i], y = P[i + 1], z = P[i + 2];
      let X = 0, Y = 0, Z = 0;
      for (let k = INFLUENCES * v; k < INFLUENCES * v + INFLUENCES; k++) {
        const w = B[k], m = 12 * J[k];
        if (w === 0) continue;
        X += w * (W[m] * x + W[m + 1] * y + W[m + 2] * z + W[m + 3]);
        Y += w * (W[m + 4] * x + W[m + 5] * y + W[m + 6] * z + W[m + 7]);
        Z += w * (W[m + 8] * x + W[m + 9] * y + W[m + 10] * z + W[m + 11]);
      }
      V[i] = X;
      V[i + 1] = Y;
      V[i + 2] = Z;
    }
  }

  /** GaussianAvatars frames: columns edge, normal, edge × normal, times k; origin the centroid. */
  buildFrames() {
    const {faces: F, vertices: V, frames: M, faceCount} = this;
    for (let f = 0, o = 0; f < faceCount; f++, o += 12) {
      const a = 3 * F[3 * f], b = 3 * F[3 * f + 1], c = 3 * F[3 * f + 2];
      const ex = V[b] - V[a], ey = V[b + 1] - V[a + 1], ez = V[b + 2] - V[a + 2];
      const sx = V[c] - V[a], sy = V[c + 1] - V[a + 1], sz = V[c + 2] - V[a + 2];
      const length = Math.sqrt(ex * ex + ey * ey + ez * ez);
      const e = 1 / Math.max(length, SMALLEST_EDGE);
      const ax = ex * e, ay = ey * e, az = ez * e;
      let nx = ay * sz - az * sy, ny = az * sx - ax * sz, nz = ax * sy - ay * sx;
      const n = 1 / Math.max(Math.sqrt(nx * nx + ny * ny + nz * nz), SMALLEST_EDGE);
      nx *= n;
      ny *= n;
      nz *= n;
      const bx = ay * nz - az * ny, by = az * nx - ax * nz, bz = ax * ny - ay * nx;
      const k = 0.5 * (length + Math.abs(bx * sx + by * sy + bz * sz));
      M[o] = k * ax;
      M[o + 1] = k * nx;
      M[o + 2] = k * bx;
      M[o + 3] = (V[a] + V[b] + V[c]) / 3;
      M[o + 4] = k * ay;
      M[o + 5] = k * ny;
      M[o + 6] = k * by;
      M[o + 7] = (V[a + 1] + V[b + 1] + V[c + 1]) / 3;
      M[o + 8] = k * az;
      M[o + 9] = k * nz;
      M[o + 10] = k * bz;
      M[o + 11] = (V[a + 2] + V[b + 2] + V[c + 2]) / 3;
    }
  }

  /** Each edge of the drawn triangles once, as vertex pairs. */
  edges() {
    const keys = new Uint32Array(this.drawnIndices);
    for (let i = 0; i < keys.length; i++) {
      const a = this.faces[i], b = this.faces[i % 3 === 2 ? i - 2 : i + 1];
      keys[i] = a < b ? a * 65536 + b : b * 65536 + a;
    }
    keys.sort();
    const pairs = new Uint16Array(2 * keys.length);
    let n = 0;
    for (let i = 0; i < keys.length; i++) {
      if (i > 0 && keys[i] === keys[i - 1]) continue;
      pairs[n++] = keys[i] >>> 16;
      pairs[n++] = keys[i] & 65535;
    }
    return pairs.slice(0, n);
  }
}

function addTarget(positions, {index, delta}, weight) {
  for (let k = 0, d = 0; k < index.length; k++, d += 3) {
    const i = 3 * index[k];
    positions[i] += weight * delta[d];
    positions[i + 1] += weight * delta[d + 1];
    positions[i + 2] += weight * delta[d + 2];
  }
}

/** Rodrigues' formula on three numbers of `turns` into `out` (3 × 3 by rows). Numbers as arguments would be garbage. */
function rotationMatrix(out, turns, at) {
  const x = turns[at], y = turns[at + 1], z = turns[at + 2];
  const angle = Math.sqrt(x * x + y * y + z * z);
  const s = angle < 1e-8 ? 1 : Math.sin(angle) / angle;
  const c = angle < 1e-8 ? 0.5 : (1 - Math.cos(angle)) / (angle * angle);
  out[0] = 1 - c * (y * y + z * z);
  out[1] = c * x * y - s * z;
  out[2] = c * x * z + s * y;
  out[3] = c * x * y + s * z;
  out[4] = 1 - c * (x * x + z * z);
  out[5] = c * y * z - s * x;
  out[6] = c * x * z - s * y;
  out[7] = c * y * z + s * x;
  out[8] = 1 - c * (x * x + y * y);
}
