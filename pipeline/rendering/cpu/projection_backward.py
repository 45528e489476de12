"""The derivative of projection: from what a splat's footprint should change to what its 3D parameters should change."""

from __future__ import annotations

import numpy as np

from .blending_backward import MOMENTS
from .projection import ANTIALIASED, CHUNK, CX, CY, EPS2D, FX, FY, HEIGHT, WIDTH, load_columns
from .simd import atomic_next, kernel, load16, maximum, minimum, prefetch, select, sqrt, store

f32 = np.float32
LOOK_AHEAD = 8  # splats whose sums are fetched in advance
# Columns of a chunk: 0..10 the parameters, which their gradients replace; then the 8 moments of blending_backward,
# whether the splat is visible, and the gradient of its depth.
_SUMS, _VISIBLE, _DEPTH = 11, 19, 20
BACKWARD_COLUMNS = 21


@kernel
def _backward_columns(columns, count, cam):
    """In place: the parameters become their gradients, and the sums over x and y the gradient of the screen mean."""
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = cam[0], cam[1], cam[2], cam[3], cam[4], cam[5], cam[6], cam[7], cam[8]
    fx, fy, width, height, eps = cam[FX], cam[FY], cam[WIDTH], cam[HEIGHT], cam[EPS2D]
    x_margin, y_margin = f32(0.15) * width / fx, f32(0.15) * height / fy
    x_low, x_high = -cam[CX] / fx - x_margin, (width - cam[CX]) / fx + x_margin
    y_low, y_high = -cam[CY] / fy - y_margin, (height - cam[CY]) / fy + y_margin
    for o in range(0, count, 16):
        x, y, z = load16(columns, o), load16(columns, o + CHUNK), load16(columns, o + 2 * CHUNK)
        qw, qx = load16(columns, o + 3 * CHUNK), load16(columns, o + 4 * CHUNK)
        qy, qz = load16(columns, o + 5 * CHUNK), load16(columns, o + 6 * CHUNK)
        s0, s1, s2 = load16(columns, o + 7 * CHUNK), load16(columns, o + 8 * CHUNK), load16(columns, o + 9 * CHUNK)
        opacity = load16(columns, o + 10 * CHUNK)
        g1, gx, gy = (
            load16(columns, o + _SUMS * CHUNK),
            load16(columns, o + (_SUMS + 1) * CHUNK),
            load16(columns, o + (_SUMS + 2) * CHUNK),
        )
        gxx, gxy, gyy = (
            load16(columns, o + (_SUMS + 3) * CHUNK),
            load16(columns, o + (_SUMS + 4) * CHUNK),
            load16(columns, o + (_SUMS + 5) * CHUNK),
        )
        visible = load16(columns, o + _VISIBLE * CHUNK) > 0.5

        # The forward pass again.
        X = x * r00 + y * r01 + z * r02 + cam[9]
        Y = x * r10 + y * r11 + z * r12 + cam[10]
        rz = 1.0 / (x * r20 + y * r21 + z * r22 + cam[11])
        tan_x, tan_y = X * rz, Y * rz
        jx, jy = minimum(maximum(tan_x, x_low), x_high), minimum(maximum(tan_y, y_low), y_high)
        fxz, fyz = rz * fx, rz * fy
        a0, a1, a2 = fxz * (r00 - jx * r20), fxz * (r01 - jx * r21), fxz * (r02 - jx * r22)
        b0, b1, b2 = fyz * (r10 - jy * r20), fyz * (r11 - jy * r21), fyz * (r12 - jy * r22)
        norm = 1.0 / sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
        qw, qx, qy, qz = qw * norm, qx * norm, qy * norm, qz * norm
        R00, R01, R02 = 1.0 - 2.0 * (qy * qy + qz * qz), 2.0 * (qx * qy - qw * qz), 2.0 * (qx * qz + qw * qy)
        R10, R11, R12 = 2.0 * (qx * qy + qw * qz), 1.0 - 2.0 * (qx * qx + qz * qz), 2.0 * (qy * qz - qw * qx)
        R20, R21, R22 = 2.0 * (qx * qz - qw * qy), 2.0 * (qy * qz + qw * qx), 1.0 - 2.0 * (qx * qx + qy * qy)
        # p = a R, q = b R; u = p diag(s), v = q diag(s)
        p0, p1, p2 = a0 * R00 + a1 * R10 + a2 * R20, a0 * R01 + a1 * R11 + a2 * R21, a0 * R02 + a1 * R12 + a2 * R22
        q0, q1, q2 = b0 * R00 + b1 * R10 + b2 * R20, b0 * R01 + b1 * R11 + b2 * R21, b0 * R02 + b1 * R12 + b2 * R22
        u0, u1, u2, v0, v1, v2 = s0 * p0, s1 * p1, s2 * p2, s0 * q0, s1 * q1, s2 * q2
        n0, n1, n2 = u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0
        sharp_det = n0 * n0 + n1 * n1 + n2 * n2
        sxx, syy = u0 * u0 + u1 * u1 + u2 * u2, v0 * v0 + v1 * v1 + v2 * v2
        inverse = 1.0 / (sharp_det + (sxx + syy + eps) * eps)

        # Conic [[a, b], [b, c]] = inverse of S; d ln(alpha)/d mean = conic (pixel - mean).
        a, b, c = (syy + eps) * inverse, -(u0 * v0 + u1 * v1 + u2 * v2) * inverse, (sxx + eps) * inverse
        h0, h1 = a * gx + b * gy, b * gx + c * gy
        # dL/dS = conic G conic / 2 with G the sums of v dx dx, v dx dy, v dy dy.
        m0, m1, m2, m3 = a * gxx + b * gxy, a * gxy + b * gyy, b * gxx + c * gxy, b * gxy + c * gyy
        d_xx, d_xy, d_yy = 0.5 * (m0 * a + m1 * b), 0.5 * (m0 * b + m1 * c), 0.5 * (m2 * b + m3 * c)

        d_sharp = 0.0 * g1
        if cam[ANTIALIASED] != f32(0):
            # ln opacity has gained ln(sharp_det) / 2 - ln(det) / 2, with det = sharp_det + eps (u.u + v.v) + eps^2.
            half = 0.5 * g1
            d_sharp = half * (1.0 - sharp_det * inverse) / maximum(sharp_det, 1e-30)
            d_xx, d_yy = d_xx - half * eps * inverse, d_yy - half * eps * inverse
        # |n|^2 = |u x v|^2 has the gradients 2 v x n and 2 n x u.
        d0, d1, d2 = d_sharp * n0, d_sharp * n1, d_sharp * n2
        du0 = 2.0 * (d_xx * u0 + d_xy * v0 + v1 * d2 - v2 * d1)
        du1 = 2.0 * (d_xx * u1 + d_xy * v1 + v2 * d0 - v0 * d2)
        du2 = 2.0 * (d_xx * u2 + d_xy * v2 + v0 * d1 - v1 * d0)
        dv0 = 2.0 * (d_yy * v0 + d_xy * u0 + d1 * u2 - d2 * u1)
        dv1 = 2.0 * (d_yy * v1 + d_xy * u1 + d2 * u0 - d0 * u2)
        dv2 = 2.0 * (d_yy * v2 + d_xy * u2 + d0 * u1 - d1 * u0)

        scale0, scale1, scale2 = p0 * du0 + q0 * dv0, p1 * du1 + q1 * dv1, p2 * du2 + q2 * dv2
        du0, du1, du2, dv0, dv1, dv2 = s0 * du0, s1 * du1, s2 * du2, s0 * dv0, s1 * dv1, s2 * dv2
        # dL/dR = a du^T + b dv^T
        m00, m01, m02 = a0 * du0 + b0 * dv0, a0 * du1 + b0 * dv1, a0 * du2 + b0 * dv2
        m10, m11, m12 = a1 * du0 + b1 * dv0, a1 * du1 + b1 * dv1, a1 * du2 + b1 * dv2
        m20, m21, m22 = a2 * du0 + b2 * dv0, a2 * du1 + b2 * dv1, a2 * du2 + b2 * dv2
        dw = 2.0 * (qx * (m21 - m12) + qy * (m02 - m20) + qz * (m10 - m01))
        dx = 2.0 * (qy * (m01 + m10) + qz * (m02 + m20) + qw * (m21 - m12) - 2.0 * qx * (m11 + m22))
        dy = 2.0 * (qx * (m01 + m10) + qz * (m12 + m21) + qw * (m02 - m20) - 2.0 * qy * (m00 + m22))
        dz = 2.0 * (qx * (m02 + m20) + qy * (m12 + m21) + qw * (m10 - m01) - 2.0 * qz * (m00 + m11))
        radial = dw * qw + dx * qx + dy * qy + dz * qz  # the length of the quaternion changes nothing

        # a = fx/Z (row0 - jx row2), b = fy/Z (row1 - jy row2) of the camera's rotation.
        da0, da1, da2 = (
            R00 * du0 + R01 * du1 + R02 * du2,
            R10 * du0 + R11 * du1 + R12 * du2,
            R20 * du0 + R21 * du1 + R22 * du2,
        )
        db0, db1, db2 = (
            R00 * dv0 + R01 * dv1 + R02 * dv2,
            R10 * dv0 + R11 * dv1 + R12 * dv2,
            R20 * dv0 + R21 * dv1 + R22 * dv2,
        )
        d_jx, d_jy = -fxz * (da0 * r20 + da1 * r21 + da2 * r22), -fyz * (db0 * r20 + db1 * r21 + db2 * r22)
        d_jx = select((tan_x > x_low) & (tan_x < x_high), d_jx, 0.0)
        d_jy = select((tan_y > y_low) & (tan_y < y_high), d_jy, 0.0)
        dX, dY = d_jx * rz, d_jy * rz
        dZ = -rz * (da0 * a0 + da1 * a1 + da2 * a2 + db0 * b0 + db1 * b1 + db2 * b2) - dX * tan_x - dY * tan_y
        dZ = dZ + load16(columns, o + _DEPTH * CHUNK)

        store(columns, o, select(visible, dX * r00 + dY * r10 + dZ * r20, 0.0))
        store(columns, o + CHUNK, select(visible, dX * r01 + dY * r11 + dZ * r21, 0.0))
        store(columns, o + 2 * CHUNK, select(visible, dX * r02 + dY * r12 + dZ * r22, 0.0))
        store(columns, o + 3 * CHUNK, select(visible, (dw - radial * qw) * norm, 0.0))
        store(columns, o + 4 * CHUNK, select(visible, (dx - radial * qx) * norm, 0.0))
        store(columns, o + 5 * CHUNK, select(visible, (dy - radial * qy) * norm, 0.0))
        store(columns, o + 6 * CHUNK, select(visible, (dz - radial * qz) * norm, 0.0))
        store(columns, o + 7 * CHUNK, select(visible, scale0, 0.0))
        store(columns, o + 8 * CHUNK, select(visible, scale1, 0.0))
        store(columns, o + 9 * CHUNK, select(visible, scale2, 0.0))
        store(columns, o + 10 * CHUNK, select(visible, g1 / opacity, 0.0))
        store(columns, o + (_SUMS + 1) * CHUNK, select(visible, h0, 0.0))
        store(columns, o + (_SUMS + 2) * CHUNK, select(visible, h1, 0.0))


@kernel
def _gather_sums(first, count, visible, pairs, sums, stride, depth_channel, columns, v_colors):
    """Adds up, for `count` records from `first` on, what their tiles summed, always in the same order."""
    spans, places, source = pairs.spans, pairs.places, visible.source
    total = np.zeros(stride, np.float32)
    last = first + count - 1
    for j in range(first, first + count):
        prefetch(places, np.int64(spans[min(j + 2 * LOOK_AHEAD, last), 0]))
        prefetch(sums, np.int64(places[spans[min(j + LOOK_AHEAD, last), 0]]) * stride)
        total[:] = f32(0)
        for e in range(spans[j, 0], spans[j, 1]):
            row = np.int64(places[e]) * stride
            for c in range(stride):
                total[c] += sums[row + c]
        u = source[j] - first
        columns[_VISIBLE * CHUNK + u] = f32(1)
        for c in range(MOMENTS):
            columns[(_SUMS + c) * CHUNK + u] = total[c]
        if depth_channel >= 0:
            columns[_DEPTH * CHUNK + u] = total[MOMENTS + depth_channel]
        for c in range(v_colors.shape[1]):
            v_colors[source[j], c] = total[MOMENTS + c]


@kernel
def _write(columns, column, first, count, accumulate, target):
    for c in range(target.shape[1]):
        for u in range(count):
            value = columns[(column + c) * CHUNK + u]
            target[first + u, c] = target[first + u, c] + value if accumulate else value


@kernel
def project_backward(counter, splats, cam, depth_channel, visible, pairs, sums, stride, columns, accumulate, gradients):
    """Carries each splat's sums over its tiles to its parameters, chunk by chunk until `counter` runs out.

    sums: what `blend_image_backward` wrote, `stride` floats to an entry. Gradients to means, quats, scales and
    opacities are added to if `accumulate`, else written; those to colors, means2d and absolute belong to one camera and
    are written. The means' gradient through means2d comes by `means2d_backward`.
    """
    total = splats.means.shape[0]
    while True:
        chunk = atomic_next(counter)
        first = chunk * CHUNK
        if first >= total:
            break
        count = min(CHUNK, total - first)
        load_columns(splats, first, count, columns)
        for k in range(_SUMS * CHUNK, BACKWARD_COLUMNS * CHUNK):
            columns[k] = f32(0)
        gradients.colors[first : first + count] = f32(0)
        _gather_sums(
            first, visible.counts[chunk], visible, pairs, sums, stride, depth_channel, columns, gradients.colors
        )
        _backward_columns(columns, count, cam)
        _write(columns, 0, first, count, accumulate, gradients.means)
        _write(columns, 3, first, count, accumulate, gradients.quats)
        _write(columns, 7, first, count, accumulate, gradients.scales)
        _write(columns, 10, first, count, accumulate, gradients.opacities.reshape(-1, 1))
        _write(columns, _SUMS + 1, first, count, False, gradients.means2d)
        _write(columns, _SUMS + 6, first, count, False, gradients.absolute)


@kernel
def means2d_backward(means, cam, v_means2d, v_means):
    """Adds to v_means (N,3) what v_means2d (N,2) asks of the projected means of one camera."""
    for i in range(means.shape[0]):
        h0, h1 = v_means2d[i, 0], v_means2d[i, 1]
        if h0 == f32(0) and h1 == f32(0):  # culled splats, which may lie in the camera's plane
            continue
        x, y, z = means[i, 0], means[i, 1], means[i, 2]
        X = cam[0] * x + cam[1] * y + cam[2] * z + cam[9]
        Y = cam[3] * x + cam[4] * y + cam[5] * z + cam[10]
        rz = f32(1) / (cam[6] * x + cam[7] * y + cam[8] * z + cam[11])
        dX, dY = cam[FX] * rz * h0, cam[FY] * rz * h1
        dZ = -(X * dX + Y * dY) * rz
        for c in range(3):
            v_means[i, c] += cam[c] * dX + cam[3 + c] * dY + cam[6 + c] * dZ
