// Splats as they arrive: planar chunks of the file become rows of the textures that the GPU reads. The values stay
// quantised (FORMAT.md, "Chunks"); the shader turns them into numbers.

import {demand, whole} from './glb.js';

export const ROW = 1024; // splats per texture row
const BYTES = 20;
const MOST_LAYERS = 16;
const MOST_SPLATS = 1 << 23;

export class SplatStore {
  constructor(document, extension, faceCount) {
    this.document = document;
    this.faceCount = faceCount;
    this.capacity = whole(extension.count, MOST_SPLATS);
    this.layers = extension.layers;
    demand(Array.isArray(this.layers) && this.layers.length <= MOST_LAYERS, 'it has no list of layers');
    this.layers.forEach((layer) => demand(
      [layer.mean, layer.logScale, layer.logStep].every((triple) => triple?.length === 3), 'a layer has no ranges'));
    this.loadedPerLayer = new Uint32Array(this.layers.length);
    this.shCoefficients = extension.shCoefficients;
    demand([1, 4, 9, 16].includes(this.shCoefficients), 'its harmonics are no whole degree');
    this.shBytes = 3 * (this.shCoefficients - 1);
    this.shTexels = Math.ceil(this.shBytes / 16);
    this.rows = Math.max(1, Math.ceil(this.capacity / ROW));
    this.count = 0;
    this.attributes = new Uint32Array(4 * ROW * this.rows);
    this.colors = new Uint32Array(ROW * this.rows);
    this.sh = new Uint8Array(16 * ROW * this.rows * this.shTexels);
    this.faces = new Uint16Array(this.capacity);
    this.means = new Float32Array(3 * this.capacity);
    this.order = new Uint32Array(ROW * this.rows);
  }

  /** Append one chunk of the file. */
  append({bufferView, count: n}) {
    const bytes = this.document.window(bufferView);
    demand(whole(n) <= this.capacity - this.count, 'it has more splats than its header says');
    demand(bytes.length === n * (BYTES + this.shBytes), 'a chunk has a wrong length');
    const plane = (Type, offset, length) => this.document.window(bufferView, Type, offset, length);
    const rotation = plane(Uint32Array, 0, n);
    const mean = plane(Int16Array, 4 * n, 3 * n);
    const faceSteps = plane(Uint16Array, 10 * n, n);
    const layer = bytes.subarray(12 * n, 13 * n);
    const scale = bytes.subarray(13 * n, 16 * n);
    const color = bytes.subarray(16 * n, 19 * n);
    const opacity = bytes.subarray(19 * n, 20 * n);
    const reach = this.layers.map((entry) => entry.mean.map((value) => value / 32767));
    const {attributes: A, colors: B, faces, means} = this;
    for (let k = 0, face = 0, i = this.count; k < n; k++, i++) {
      const x = mean[k], y = mean[n + k], z = mean[2 * n + k], l = layer[k];
      face = (face + faceSteps[k]) & 65535;
      demand(face < this.faceCount && l < reach.length, 'a splat hangs on nothing');
      faces[i] = face;
      means[3 * i] = x * reach[l][0];
      means[3 * i + 1] = y * reach[l][1];
      means[3 * i + 2] = z * reach[l][2];
      A[4 * i] = face | (l << 16) | (opacity[k] << 24);
      A[4 * i + 1] = (x & 65535) | (y << 16);
      A[4 * i + 2] = (z & 65535) | (scale[k] << 16) | (scale[n + k] << 24);
      A[4 * i + 3] = rotation[k];
      B[i] = scale[2 * n + k] | (color[k] << 8) | (color[n + k] << 16) | (color[2 * n + k] << 24);
      this.loadedPerLayer[l]++;
    }
    this.appendHarmonics(bytes.subarray(BYTES * n), n);
    this.count += n;
  }

  /** Texel t of splat i stands in row (i / ROW) · texels + t, column i mod ROW. */
  appendHarmonics(planes, n) {
    for (let k = 0, i = this.count; k < n && this.shBytes; k++, i++) {
      const row = Math.floor(i / ROW) * this.shTexels, column = i % ROW;
      for (let v = 0; v < this.shBytes; v++) {
        this.sh[16 * ((row + (v >> 4)) * ROW + column) + (v & 15)] = planes[v * n + k];
      }
    }
  }

  /** How much wider a half-loaded layer's splats should be drawn to close the gaps. */
  growth(layer) {
    const loaded = this.loadedPerLayer[layer];
    return loaded ? Math.min(2.5, Math.sqrt(Math.max(1, this.layers[layer].count / loaded))) : 1;
  }

  get complete() {
    return this.count === this.capacity;
  }
}
