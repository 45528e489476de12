// Back-to-front order of the splats from the triangle frames alone: one plane per face, one dot product per splat, then
// a counting sort over 16 bits of depth. It runs again for every pose and view: an order one pose old shows first at the
// lids and in the mouth.

const LEVELS = 65536;

export class DepthSort {
  constructor(capacity, faceCount) {
    this.planes = new Float32Array(4 * faceCount);
    this.depths = new Float32Array(capacity);
    this.keys = new Uint16Array(capacity);
    this.counts = new Uint32Array(LEVELS);
  }

  /**
   * `frames` as `Rig` builds them, `faces` and `means` (×3, triangle units) of `count` splats, `view` the column-major
   * world-to-camera matrix; writes splat indices to `order`, farthest first. The sort is stable.
   */
  run(order, frames, faces, means, count, view) {
    this.measure(frames, view);
    const {planes: D, depths, keys, counts} = this;
    let near = Infinity, far = -Infinity;
    for (let i = 0, m = 0; i < count; i++, m += 3) {
      const p = 4 * faces[i];
      const depth = D[p] * means[m] + D[p + 1] * means[m + 1] + D[p + 2] * means[m + 2] + D[p + 3];
      depths[i] = depth;
      if (depth < near) near = depth;
      if (depth > far) far = depth;
    }
    const scale = (LEVELS - 1) / Math.max(far - near, 1e-9);
    counts.fill(0);
    for (let i = 0; i < count; i++) {
      const key = (far - depths[i]) * scale;
      keys[i] = key;
      counts[keys[i]]++;
    }
    for (let k = 0, start = 0; k < LEVELS; k++) {
      const here = counts[k];
      counts[k] = start;
      start += here;
    }
    for (let i = 0; i < count; i++) order[counts[keys[i]]++] = i;
  }

  /** Depth as a function of the local mean, per face: the view axis through the frame. */
  measure(frames, view) {
    const D = this.planes, x = view[2], y = view[6], z = view[10];
    for (let p = 0, o = 0; p < D.length; p += 4, o += 12) {
      D[p] = x * frames[o] + y * frames[o + 4] + z * frames[o + 8];
      D[p + 1] = x * frames[o + 1] + y * frames[o + 5] + z * frames[o + 9];
      D[p + 2] = x * frames[o + 2] + y * frames[o + 6] + z * frames[o + 10];
      D[p + 3] = x * frames[o + 3] + y * frames[o + 7] + z * frames[o + 11];
    }
  }
}
