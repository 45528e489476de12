// A camera on a sphere round its target, upright: the same as orbit_camera in pipeline/camera.py.

const LIMITS = {pitch: 85, nearest: 0.12, farthest: 4}; // degrees, portrait distances

const NARROW = 0.82; // a view narrower than this, width by height, crops the shoulders: below them the bust ends

export class OrbitCamera {
  constructor() {
    this.view = new Float32Array(16);
    this.intrinsics = new Float32Array(4);
    this.eye = new Float32Array(3);
    this.target = new Float64Array(3);
    this.width = this.height = 1;
    this.home = {target: [0, 0, 0], distance: 1, fovDegrees: 14, pitchDegrees: 4};
    this.reset();
  }

  /** The portrait that an avatar file asks for. */
  setHome(home) {
    this.home = home;
    this.reset();
  }

  reset() {
    const {target, distance, fovDegrees, pitchDegrees} = this.home;
    this.set({target, distance, fov: fovDegrees, yaw: 0, pitch: pitchDegrees});
  }

  get() {
    const {yaw, pitch, distance, fov} = this;
    return {yaw, pitch, distance, fov, target: [...this.target]};
  }

  /** Any of yaw, pitch (degrees), distance (metres), fov (degrees, across the shorter side of a view that is not narrow), target [x, y, z]. */
  set({yaw = this.yaw, pitch = this.pitch, distance = this.distance, fov = this.fov, target}) {
    this.yaw = yaw;
    this.pitch = clamp(pitch, -LIMITS.pitch, LIMITS.pitch);
    this.distance = clamp(distance, LIMITS.nearest * this.home.distance, LIMITS.farthest * this.home.distance);
    this.fov = clamp(fov, 2, 120);
    if (target) this.target.set(target);
  }

  orbit(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = clamp(this.pitch + pitch, -LIMITS.pitch, LIMITS.pitch);
  }

  zoom(factor) {
    this.distance = clamp(this.distance * factor, LIMITS.nearest * this.home.distance, LIMITS.farthest * this.home.distance);
  }

  /** Shift the picture by fractions of its height: right and down are positive. */
  pan(right, down) {
    const height = 2 * this.distance * Math.tan(this.fov * Math.PI / 360);
    const reach = this.home.distance / 2;
    for (let c = 0; c < 3; c++) {
      const moved = this.target[c] - height * (right * this.view[4 * c] + down * this.view[4 * c + 1]);
      this.target[c] = clamp(moved, this.home.target[c] - reach, this.home.target[c] + reach);
    }
  }

  /** View matrix (column-major, OpenCV axes), intrinsics and eye for a picture of this many pixels. */
  update(width, height) {
    this.width = width;
    this.height = height;
    const yaw = this.yaw * Math.PI / 180, pitch = this.pitch * Math.PI / 180;
    const cp = Math.cos(pitch), sp = Math.sin(pitch), cy = Math.cos(yaw), sy = Math.sin(yaw);
    const {view: m, target: t} = this;
    const ex = t[0] + this.distance * sy * cp, ey = t[1] + this.distance * sp, ez = t[2] + this.distance * cy * cp;
    m[0] = cy; m[4] = 0; m[8] = -sy; // right
    m[1] = sp * sy; m[5] = -cp; m[9] = sp * cy; // down
    m[2] = -sy * cp; m[6] = -sp; m[10] = -cy * cp; // forward
    m[3] = m[7] = m[11] = 0;
    m[12] = -(m[0] * ex + m[4] * ey + m[8] * ez);
    m[13] = -(m[1] * ex + m[5] * ey + m[9] * ez);
    m[14] = -(m[2] * ex + m[6] * ey + m[10] * ez);
    m[15] = 1;
    this.eye[0] = ex;
    this.eye[1] = ey;
    this.eye[2] = ez;
    const side = Math.min(height, Math.max(width, NARROW * height));
    const focal = side / (2 * Math.tan(this.fov * Math.PI / 360));
    this.intrinsics[0] = this.intrinsics[1] = focal;
    this.intrinsics[2] = width / 2;
    this.intrinsics[3] = height / 2;
  }
}

function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}
