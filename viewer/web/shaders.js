// GLSL of the viewer. The projection does what pipeline/rendering/projection.py does, on values still quantised.

import {ROW} from './chunks.js';
import {FRAMES_PER_ROW, FRAME_TEXELS} from './rig.js';

export const BATCH = 128; // quads per instance: four vertices per instance starve a GPU, and a software one six times over
export const LAYERS = 16;

const COMMON = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;
`;

const PROJECTION = `
uniform mat4 uView;    // world to camera: x right, y down, z forward
uniform vec4 uK;       // fx fy cx cy, pixels
uniform vec4 uFrustum; // width, height, near, far
float linearDepth(float z) { return (z - uFrustum.z) / (uFrustum.w - uFrustum.z) * 2.0 - 1.0; }
vec2 toClip(vec2 pixel) { return vec2(pixel.x * 2.0 / uFrustum.x - 1.0, 1.0 - pixel.y * 2.0 / uFrustum.y); }
`;

const HARMONICS = `
uniform usampler2D uSh;
uniform float uShRange;
uniform vec3 uEye;
vec3 harmonic(int splat, int k) {                       // coefficient k >= 1
  int first = 3 * (k - 1);
  vec3 value = vec3(0.0);
  for (int c = 0; c < 3; c++) {
    int v = first + c;
    uvec4 texel = texelFetch(uSh, ivec2(splat % ${ROW}, (splat / ${ROW}) * SH_TEXELS + (v >> 4)), 0);
    value[c] = float((texel[(v >> 2) & 3] >> uint(8 * (v & 3))) & 255u);
  }
  return (value / 255.0 * 2.0 - 1.0) * uShRange;
}
vec3 viewDependent(int i, vec3 world) {                 // Kerbl et al. 2023, as pipeline/rendering/spherical_harmonics.py
  vec3 d = normalize(world - uEye);
  float x = d.x, y = d.y, z = d.z;
  vec3 c = 0.4886025119029199 * (-y * harmonic(i, 1) + z * harmonic(i, 2) - x * harmonic(i, 3));
#if SH_DEGREE > 1
  c += 1.0925484305920792 * (x * y * harmonic(i, 4) - y * z * harmonic(i, 5) - x * z * harmonic(i, 7));
  c += 0.31539156525252005 * (3.0 * z * z - 1.0) * harmonic(i, 6) + 0.5462742152960396 * (x * x - y * y) * harmonic(i, 8);
#endif
#if SH_DEGREE > 2
  c += -0.5900435899266435 * y * (3.0 * x * x - y * y) * harmonic(i, 9) + 2.890611442640554 * x * y * z * harmonic(i, 10);
  c += 0.4570457994644658 * (5.0 * z * z - 1.0) * (-y * harmonic(i, 11) - x * harmonic(i, 13));
  c += 0.3731763325901154 * z * (5.0 * z * z - 3.0) * harmonic(i, 12);
  c += 1.445305721320277 * z * (x * x - y * y) * harmonic(i, 14) - 0.5900435899266435 * x * (x * x - 3.0 * y * y) * harmonic(i, 15);
#endif
  return c;
}
`;

const FULL_SCREEN = `${COMMON}
void main() { gl_Position = vec4(vec2((gl_VertexID & 1) * 4 - 1, (gl_VertexID & 2) * 2 - 1), 0.0, 1.0); }`;

/**
 * First pass, one fragment per splat: its ellipse on the screen, kept as the bits of
 * (x, y, long half axis x, y) and (short half axis, opacity, red green, blue depth). Doing it in the vertex shader of
 * the quads would repeat it four times, which is most of a frame where graphics run in software.
 * `shDegree` 0..3; `antialiased`: opacity compensated for the low-pass (Mip-Splatting).
 */
export function projectionShaders({shDegree, shTexels, antialiased}) {
  const defines = `#define SH_DEGREE ${shDegree}\n#define SH_TEXELS ${shTexels}\n`;
  return [FULL_SCREEN, COMMON + defines + PROJECTION + (shDegree ? HARMONICS : '') + PROJECT_SPLAT(antialiased)];
}

const PROJECT_SPLAT = (antialiased) => `
uniform usampler2D uAttributes, uColors;
uniform sampler2D uFrames;
uniform int uCount;
uniform vec3 uMean[${LAYERS}], uLogScale[${LAYERS}], uLogStep[${LAYERS}];
uniform float uGrowth[${LAYERS}];
uniform vec2 uColorRange;
uniform float uGrownSize;                               // metres up to which splats of a half-loaded layer grow
layout(location = 0) out uvec4 ellipse;
layout(location = 1) out uvec4 shade;
vec4 frameRow(int face, int row) {
  return texelFetch(uFrames, ivec2((face % ${FRAMES_PER_ROW}) * ${FRAME_TEXELS} + row, face / ${FRAMES_PER_ROW}), 0);
}
vec4 quaternion(uint u) {                               // smallest three -> w x y z
  vec3 r = (vec3((u >> 20) & 1023u, (u >> 10) & 1023u, u & 1023u) / 1023.0 - 0.5) * 1.4142135623730951;
  float m = sqrt(max(0.0, 1.0 - dot(r, r)));
  switch (int(u >> 30)) {
    case 0: return normalize(vec4(m, r));
    case 1: return normalize(vec4(r.z, m, r.xy));
    case 2: return normalize(vec4(r.yz, m, r.x));
  }
  return normalize(vec4(r, m));
}
mat3 rotation(vec4 q) {
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
              2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
              2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}
void main() {
  ellipse = shade = uvec4(0u);                          // opacity 0: not drawn
  ivec2 place = ivec2(gl_FragCoord.xy);
  int i = place.y * ${ROW} + place.x;
  if (i >= uCount) return;
  uvec4 a = texelFetch(uAttributes, place, 0);
  uint b = texelFetch(uColors, place, 0).x;
  int layer = int((a.x >> 16) & 255u), face = int(a.x & 65535u);

  vec4 r0 = frameRow(face, 0), r1 = frameRow(face, 1), r2 = frameRow(face, 2);
  vec3 local = vec3(int(a.y << 16) >> 16, int(a.y) >> 16, int(a.z << 16) >> 16) / 32767.0 * uMean[layer];
  vec3 world = vec3(dot(r0.xyz, local) + r0.w, dot(r1.xyz, local) + r1.w, dot(r2.xyz, local) + r2.w);
  vec3 camera = (uView * vec4(world, 1.0)).xyz;
  if (camera.z < uFrustum.z) return;

  vec3 scale = exp(uLogScale[layer] + uLogStep[layer] * vec3((a.z >> 16) & 255u, a.z >> 24, b & 255u));
  float k = length(vec3(r0.x, r1.x, r2.x));
  scale = max(scale, min(scale * uGrowth[layer], vec3(uGrownSize / max(k, 1e-9))));
  mat3 R = rotation(quaternion(a.w));
  mat3 M = mat3(uView) * transpose(mat3(r0.xyz, r1.xyz, r2.xyz)) * mat3(R[0] * scale.x, R[1] * scale.y, R[2] * scale.z);

  vec2 focal = uK.xy, size = uFrustum.xy, tangent = camera.xy / camera.z;
  vec2 margin = 0.15 * size / focal;
  vec2 j = clamp(tangent, -uK.zw / focal - margin, (size - uK.zw) / focal + margin);
  vec3 u = focal.x / camera.z * vec3(M[0].x - j.x * M[0].z, M[1].x - j.x * M[1].z, M[2].x - j.x * M[2].z);
  vec3 v = focal.y / camera.z * vec3(M[0].y - j.y * M[0].z, M[1].y - j.y * M[1].z, M[2].y - j.y * M[2].z);
  vec3 n = cross(u, v);
  float uu = dot(u, u), vv = dot(v, v), uv = dot(u, v);
  float sharp = dot(n, n), det = sharp + (uu + vv + 0.3) * 0.3, A = uu + 0.3, C = vv + 0.3;
  float opacity = float(a.x >> 24) / 255.0;
  ${antialiased ? 'opacity *= sqrt(sharp / det);' : ''}
  if (opacity < 1.0 / 255.0) return;

  float middle = 0.5 * (A + C), spread = length(vec2(0.5 * (A - C), uv));
  float large = middle + spread, small = max(det / large, 0.3);
  vec2 axis = A > C ? vec2(large - C, uv) : vec2(uv, large - A);
  axis = dot(axis, axis) > 0.0 ? normalize(axis) : vec2(1.0, 0.0);

  vec3 color = vec3((b >> 8) & 255u, (b >> 16) & 255u, b >> 24) / 255.0 * uColorRange.y + uColorRange.x;
#if SH_DEGREE > 0
  color += viewDependent(i, world);
#endif
  color = max(color, 0.0);
  ellipse = floatBitsToUint(vec4(focal * tangent + uK.zw, sqrt(large) * axis));
  shade = uvec4(floatBitsToUint(vec2(sqrt(small), opacity)), packHalf2x16(color.rg), packHalf2x16(vec2(color.b, camera.z)));
}`;

export const QUAD_SHADERS = [
  `${COMMON}${PROJECTION}
uniform usampler2D uOrder, uEllipses, uShades;
uniform int uCount;
flat out vec4 vColor;
out vec2 vAt;
ivec2 place(int i) { return ivec2(i % ${ROW}, i / ${ROW}); }
void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);               // outside the clip volume: the quad vanishes
  int slot = gl_InstanceID * ${BATCH} + (gl_VertexID >> 2);
  if (slot >= uCount) return;
  ivec2 at = place(int(texelFetch(uOrder, place(slot), 0).x));
  uvec4 shade = texelFetch(uShades, at, 0);
  float opacity = uintBitsToFloat(shade.y);
  if (opacity == 0.0) return;
  vec4 ellipse = uintBitsToFloat(texelFetch(uEllipses, at, 0));
  vec2 major = ellipse.zw, minor = normalize(vec2(-major.y, major.x)) * uintBitsToFloat(shade.x);
  float reach = sqrt(2.0 * log(opacity * 255.0));       // exactly where alpha falls below 1/255
  vAt = vec2((gl_VertexID & 1) * 2 - 1, (gl_VertexID & 2) - 1) * reach;
  vec2 blueDepth = unpackHalf2x16(shade.w);
  vColor = vec4(unpackHalf2x16(shade.z), blueDepth.x, opacity);
  float depth = linearDepth(blueDepth.y - 0.012);       // 12 mm before the mesh below a half-loaded head
  gl_Position = vec4(toClip(ellipse.xy + vAt.x * major + vAt.y * minor), depth, 1.0);
}`,
  `${COMMON}
flat in vec4 vColor;
in vec2 vAt;
out vec4 color;
void main() {
  float alpha = min(0.999, vColor.a * exp(-0.5 * dot(vAt, vAt)));
  if (alpha < 1.0 / 255.0) discard;
  color = vec4(vColor.rgb * alpha, alpha);
}`,
];

export const MESH_SHADERS = [
  `${COMMON}${PROJECTION}
in vec3 aPosition;
in vec4 aColor;
out vec3 vColor;
void main() {
  vec3 camera = (uView * vec4(aPosition, 1.0)).xyz;
  vColor = mix(12.92 * aColor.rgb, 1.055 * pow(aColor.rgb, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, aColor.rgb));
  gl_Position = vec4(toClip(uK.xy * camera.xy / camera.z + uK.zw), linearDepth(camera.z), 1.0) * camera.z;
}`,
  `${COMMON}
in vec3 vColor;
uniform vec4 uTint;                                     // premultiplied; alpha 0 keeps the vertex colours
out vec4 color;
void main() { color = uTint.a > 0.0 ? uTint : vec4(vColor, 1.0); }`,
];

export const RESOLVE_SHADERS = [
  FULL_SCREEN,
  `${COMMON}
uniform sampler2D uImage;
uniform vec4 uBackground;                               // premultiplied
out vec4 color;
void main() {
  vec4 image = texelFetch(uImage, ivec2(gl_FragCoord.xy), 0);
  color = image + (1.0 - image.a) * uBackground;
}`,
];
