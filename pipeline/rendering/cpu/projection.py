"""Splats to screen: the camera's view of every splat, its footprint ellipse, and the gradients back.

The projection is EWA splatting (Zwicker et al. 2001) with gsplat's conventions: OpenCV camera, pixel centres at .5,
the Jacobian taken at a view direction clamped to 1.3 times the field of view, `eps2d` added to the screen covariance,
and in antialiased mode the opacity multiplied by sqrt(det S / det(S + eps2d I)) (Mip-Splatting, Yu et al. 2024).

With u, v the two rows of J W R diag(s), S = [[u.u, u.v], [u.v, v.v]] and det S = |u x v|^2, which stays exact for
needles where u.u v.v - (u.v)^2 cancels.

A visible splat becomes one record of `RECORD` or `WIDE_RECORD` floats, a whole number of cache lines:
  0 mean x, 1 mean y (pixels)
  2 A, 3 B, 4 C, 5 lo       alpha(dx, dy) = 2^(lo - A dx^2 - B dx dy - C dy^2)
  6..10                     the ellipse alpha >= 1/255: half height h, slope, y of its rightmost point, q0, q1;
                            at height y it spans slope*y +- sqrt(q0 - q1 y^2)
  11..                      colour channels
"""

from __future__ import annotations

import math

import numpy as np

from .simd import (
    atomic_next,
    bits_to_float,
    ceil,
    float_bits,
    inlined,
    kernel,
    load16,
    maximum,
    minimum,
    select,
    splat16,
    sqrt,
    store,
    to_float,
)

f32 = np.float32

CHUNK = 256  # splats projected at a time: their columns stay in the first-level cache
COLUMNS = 15
TILE = 32  # pixels; side of a coarse tile
COLOR = 11  # where the colour channels of a record begin
RECORD, WIDE_RECORD = 16, 32
ALPHA_CUT = math.log2(255.0)  # a splat ends where alpha < 1/255
SLACK = f32(1e-4)  # widens the ellipse (in log2 alpha) so that rounding never loses a pixel; blending decides exactly
LOG2_E = f32(math.log2(math.e))

# Layout of the `camera` parameter vector.
ROTATION, TRANSLATION, FX, FY, CX, CY, WIDTH, HEIGHT, NEAR, FAR, EPS2D, RADIUS_CLIP, ANTIALIASED = (
    0, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
)  # fmt: skip


@inlined
def log2(x):
    """log2 of positive float lanes, relative error 1e-7: exponent bits plus the atanh series on [sqrt 1/2, sqrt 2)."""
    pattern = float_bits(x)
    exponent = to_float(pattern >> 23) - 127.0
    mantissa = bits_to_float((pattern & 0x7FFFFF) | 0x3F800000)
    upper = mantissa > 1.4142135
    mantissa = select(upper, mantissa * 0.5, mantissa)
    exponent = select(upper, exponent + 1.0, exponent)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    s2 = s * s
    return exponent + s * (2.885390082 + s2 * (0.961796694 + s2 * (0.577078016 + s2 * 0.412198583)))


@kernel
def load_columns(splats, first, count, columns):
    """The parameters of splats first … first + count in columns 0..10: x y z, qw qx qy qz, sx sy sz, opacity."""
    means, quats, scales, opacities = splats.means, splats.quats, splats.scales, splats.opacities
    for u in range(count):
        i, o = np.uint64(first + u), np.uint64(u)
        for c in range(3):
            columns[o + np.uint64(c * CHUNK)] = means[i, c]
            columns[o + np.uint64((7 + c) * CHUNK)] = scales[i, c]
        for c in range(4):
            columns[o + np.uint64((3 + c) * CHUNK)] = quats[i, c]
        columns[o + np.uint64(10 * CHUNK)] = opacities[i]


@kernel
def _project_columns(columns, count, cam):
    """In place: columns x y z qw qx qy qz sx sy sz opacity -> record fields 0..10, rx, Z, visible, ry without slack."""
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = cam[0], cam[1], cam[2], cam[3], cam[4], cam[5], cam[6], cam[7], cam[8]
    fx, fy, width, height, near, far = cam[FX], cam[FY], cam[WIDTH], cam[HEIGHT], cam[NEAR], cam[FAR]
    # The Jacobian is taken no further than 30 % of the half field of view outside the image, as gsplat does.
    x_margin, y_margin = f32(0.15) * width / fx, f32(0.15) * height / fy
    x_low, x_high = -cam[CX] / fx - x_margin, (width - cam[CX]) / fx + x_margin
    y_low, y_high = -cam[CY] / fy - y_margin, (height - cam[CY]) / fy + y_margin
    for o in range(0, count, 16):
        x, y, z = load16(columns, o), load16(columns, o + CHUNK), load16(columns, o + 2 * CHUNK)
        w, i = load16(columns, o + 3 * CHUNK), load16(columns, o + 4 * CHUNK)
        j, k = load16(columns, o + 5 * CHUNK), load16(columns, o + 6 * CHUNK)
        s0, s1 = load16(columns, o + 7 * CHUNK), load16(columns, o + 8 * CHUNK)
        s2, opacity = load16(columns, o + 9 * CHUNK), load16(columns, o + 10 * CHUNK)

        X = x * r00 + y * r01 + z * r02 + cam[9]
        Y = x * r10 + y * r11 + z * r12 + cam[10]
        Z = x * r20 + y * r21 + z * r22 + cam[11]
        rz = 1.0 / maximum(Z, 1e-6)
        tan_x, tan_y = X * rz, Y * rz
        jx, jy = minimum(maximum(tan_x, x_low), x_high), minimum(maximum(tan_y, y_low), y_high)
        # a, b: rows of J W
        fxz, fyz = rz * fx, rz * fy
        a0, a1, a2 = fxz * (r00 - jx * r20), fxz * (r01 - jx * r21), fxz * (r02 - jx * r22)
        b0, b1, b2 = fyz * (r10 - jy * r20), fyz * (r11 - jy * r21), fyz * (r12 - jy * r22)

        two = 2.0 / (w * w + i * i + j * j + k * k)
        ii, jj, kk = two * i * i, two * j * j, two * k * k
        ij, ik, jk = two * i * j, two * i * k, two * j * k
        wi, wj, wk = two * w * i, two * w * j, two * w * k
        u0 = s0 * (a0 * (1.0 - (jj + kk)) + a1 * (ij + wk) + a2 * (ik - wj))
        u1 = s1 * (a0 * (ij - wk) + a1 * (1.0 - (ii + kk)) + a2 * (jk + wi))
        u2 = s2 * (a0 * (ik + wj) + a1 * (jk - wi) + a2 * (1.0 - (ii + jj)))
        v0 = s0 * (b0 * (1.0 - (jj + kk)) + b1 * (ij + wk) + b2 * (ik - wj))
        v1 = s1 * (b0 * (ij - wk) + b1 * (1.0 - (ii + kk)) + b2 * (jk + wi))
        v2 = s2 * (b0 * (ik + wj) + b1 * (jk - wi) + b2 * (1.0 - (ii + jj)))

        sxx, syy = u0 * u0 + u1 * u1 + u2 * u2, v0 * v0 + v1 * v1 + v2 * v2
        sxy = u0 * v0 + u1 * v1 + u2 * v2
        n0, n1, n2 = u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0
        sharp_det = n0 * n0 + n1 * n1 + n2 * n2
        det = sharp_det + (sxx + syy + cam[EPS2D]) * cam[EPS2D]
        sxx, syy = sxx + cam[EPS2D], syy + cam[EPS2D]
        inverse = 1.0 / det
        if cam[ANTIALIASED] != 0.0:
            opacity = opacity * sqrt(sharp_det * inverse)
        lo = log2(maximum(opacity, 1e-30))
        reach = maximum((lo + ALPHA_CUT) * 1.3862944, 0.0)  # squared Mahalanobis radius: 2 ln(255 opacity)
        rx, ry = sqrt(reach * sxx), sqrt(reach * syy)
        mx, my = tan_x * fx + cam[CX], tan_y * fy + cam[CY]
        visible = (near <= Z) & (far >= Z) & (Z > 1e-6) & (lo >= -ALPHA_CUT) & (det > 0.0) & (det < 1e37)
        visible = visible & (mx + rx > 0.0) & (mx - rx < width) & (my + ry > 0.0) & (my - ry < height)
        visible = visible & (maximum(ceil(rx), ceil(ry)) > cam[RADIUS_CLIP])

        half = inverse * (f32(0.5) * LOG2_E)
        inverse_yy = 1.0 / syy
        reach = reach + SLACK
        store(columns, o, mx)
        store(columns, o + CHUNK, my)
        store(columns, o + 2 * CHUNK, syy * half)
        store(columns, o + 3 * CHUNK, sxy * half * -2.0)
        store(columns, o + 4 * CHUNK, sxx * half)
        store(columns, o + 5 * CHUNK, lo)
        store(columns, o + 6 * CHUNK, sqrt(reach * syy))
        store(columns, o + 7 * CHUNK, sxy * inverse_yy)
        store(columns, o + 8 * CHUNK, sqrt(reach / sxx) * sxy)
        store(columns, o + 9 * CHUNK, reach * det * inverse_yy)
        store(columns, o + 10 * CHUNK, det * inverse_yy * inverse_yy)
        store(columns, o + 11 * CHUNK, rx)
        store(columns, o + 12 * CHUNK, Z)
        store(columns, o + 13 * CHUNK, ry)
        store(columns, o + 14 * CHUNK, select(visible, splat16(f32(1)), 0.0))


@kernel
def _keep_visible(columns, first, count, cam, colors, depth_channel, visible):
    """Moves the visible splats of a chunk to records[first:]; gives their number."""
    records, width, rects = visible.records, visible.width, visible.rects
    n = first
    for u in range(count):
        if columns[14 * CHUNK + u] != f32(1.0):
            continue
        mx, my, rx, ry = columns[u], columns[CHUNK + u], columns[11 * CHUNK + u], columns[6 * CHUNK + u]
        # Pixel centres inside the bounding box; compared as floats first, since a huge box overflows an integer.
        left, right = max(mx - rx - f32(0.5), f32(0)), min(mx + rx - f32(0.5), cam[WIDTH] - f32(1))
        top, bottom = max(my - ry - f32(0.5), f32(0)), min(my + ry - f32(0.5), cam[HEIGHT] - f32(1))
        if not (left <= right and top <= bottom):
            continue
        o = np.uint64(n) * np.uint64(width)
        for c in range(COLOR):
            records[o + np.uint64(c)] = columns[c * CHUNK + u]
        for c in range(colors.shape[1]):
            records[o + np.uint64(COLOR + c)] = colors[first + u, c]
        for c in range(COLOR + colors.shape[1], width):
            records[o + np.uint64(c)] = f32(0)
        if depth_channel >= 0:
            records[o + np.uint64(COLOR + depth_channel)] = columns[12 * CHUNK + u]
        visible.depths[n] = columns[12 * CHUNK + u]
        rects[n, 0] = int(left) // TILE
        rects[n, 1] = int(top) // TILE
        rects[n, 2] = int(right) // TILE
        rects[n, 3] = int(bottom) // TILE
        visible.source[n] = first + u
        n += 1
    return n - first


@kernel
def _write_screen(columns, first, count, means2d, radii, depths):
    for u in range(count):
        i = first + u
        if columns[14 * CHUNK + u] == f32(1.0):
            means2d[i, 0], means2d[i, 1] = columns[u], columns[CHUNK + u]
            radii[i, 0] = math.ceil(min(columns[11 * CHUNK + u], f32(1e9)))
            radii[i, 1] = math.ceil(min(columns[13 * CHUNK + u], f32(1e9)))
            depths[i] = columns[12 * CHUNK + u]
        else:
            means2d[i, 0], means2d[i, 1] = f32(0), f32(0)
            radii[i, 0], radii[i, 1] = 0, 0
            depths[i] = f32(0)


@kernel
def project(counter, splats, depth_channel, cam, columns, visible, screen):
    """Projects chunks of splats to `visible` until `counter` runs out; several threads share one counter.

    depth_channel: the channel that receives the depth, or -1; cam: the camera's parameters; columns: this thread's
    scratch; screen: None, or (means2d (N,2), radii (N,2) int32, depths (N,)) to fill, zero for what is not visible.
    """
    total = splats.means.shape[0]
    while True:
        chunk = atomic_next(counter)
        first = chunk * CHUNK
        if first >= total:
            break
        count = min(CHUNK, total - first)
        load_columns(splats, first, count, columns)
        _project_columns(columns, count, cam)
        visible.counts[chunk] = _keep_visible(columns, first, count, cam, splats.colors, depth_channel, visible)
        if screen is not None:
            _write_screen(columns, first, count, screen[0], screen[1], screen[2])
