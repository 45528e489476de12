"""The derivative of projection: from what a splat's footprint should change to what its 3D parameters should change."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .blending_backward import MOMENTS
from .projection import (
    ANTIALIASED,
    COLOR,
    CX,
    CY,
    EPS2D,
    FX,
    FY,
    HEIGHT,
    KERNEL,
    LOG2_E,
    WIDTH,
)
from .simd import atomic_next

f32 = np.float32
BACKWARD_CHUNK = 512


@njit(**KERNEL)
def _splat_backward(i, mean, quat, scale, opacity, cam, record, v, v_depth, v_means, v_quats, v_scales, v_opacities):
    """Adds one splat's gradients. v: (ln opacity, a, b, c of the conic) gradients; the mean's own goes with means2d."""
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = cam[0], cam[1], cam[2], cam[3], cam[4], cam[5], cam[6], cam[7], cam[8]
    fx, fy, width, height, eps = cam[FX], cam[FY], cam[WIDTH], cam[HEIGHT], cam[EPS2D]
    x_margin, y_margin = f32(0.15) * width / fx, f32(0.15) * height / fy
    x_low, x_high = -cam[CX] / fx - x_margin, (width - cam[CX]) / fx + x_margin
    y_low, y_high = -cam[CY] / fy - y_margin, (height - cam[CY]) / fy + y_margin

    # The forward pass again.
    x, y, z = mean[0], mean[1], mean[2]
    X = r00 * x + r01 * y + r02 * z + cam[9]
    Y = r10 * x + r11 * y + r12 * z + cam[10]
    Z = r20 * x + r21 * y + r22 * z + cam[11]
    rz = f32(1) / Z
    tan_x, tan_y = X * rz, Y * rz
    jx, jy = min(max(tan_x, x_low), x_high), min(max(tan_y, y_low), y_high)
    fxz, fyz = fx * rz, fy * rz
    a0, a1, a2 = fxz * (r00 - jx * r20), fxz * (r01 - jx * r21), fxz * (r02 - jx * r22)
    b0, b1, b2 = fyz * (r10 - jy * r20), fyz * (r11 - jy * r21), fyz * (r12 - jy * r22)
    norm = f32(1) / math.sqrt(quat[0] * quat[0] + quat[1] * quat[1] + quat[2] * quat[2] + quat[3] * quat[3])
    qw, qx, qy, qz = quat[0] * norm, quat[1] * norm, quat[2] * norm, quat[3] * norm
    s0, s1, s2 = scale[0], scale[1], scale[2]
    R00, R01, R02 = f32(1) - f32(2) * (qy * qy + qz * qz), f32(2) * (qx * qy - qw * qz), f32(2) * (qx * qz + qw * qy)
    R10, R11, R12 = f32(2) * (qx * qy + qw * qz), f32(1) - f32(2) * (qx * qx + qz * qz), f32(2) * (qy * qz - qw * qx)
    R20, R21, R22 = f32(2) * (qx * qz - qw * qy), f32(2) * (qy * qz + qw * qx), f32(1) - f32(2) * (qx * qx + qy * qy)
    u0 = s0 * (a0 * R00 + a1 * R10 + a2 * R20)
    u1 = s1 * (a0 * R01 + a1 * R11 + a2 * R21)
    u2 = s2 * (a0 * R02 + a1 * R12 + a2 * R22)
    v0 = s0 * (b0 * R00 + b1 * R10 + b2 * R20)
    v1 = s1 * (b0 * R01 + b1 * R11 + b2 * R21)
    v2 = s2 * (b0 * R02 + b1 * R12 + b2 * R22)
    n0, n1, n2 = u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0
    sharp_det = n0 * n0 + n1 * n1 + n2 * n2

    # Conic = inverse of the covariance, so dL/dS = -conic G conic.
    a, b, c = record[2] * (f32(2) / LOG2_E), record[3] / LOG2_E, record[4] * (f32(2) / LOG2_E)
    g_a, g_b, g_c = v[1], f32(0.5) * v[2], v[3]
    p00, p01, p10, p11 = a * g_a + b * g_b, a * g_b + b * g_c, b * g_a + c * g_b, b * g_b + c * g_c
    d_xx, d_xy, d_yy = -(p00 * a + p01 * b), -(p00 * b + p01 * c), -(p10 * b + p11 * c)

    compensation = f32(1)
    d_sharp = f32(0)
    if cam[ANTIALIASED] != f32(0):
        det = sharp_det + eps * (u0 * u0 + u1 * u1 + u2 * u2 + v0 * v0 + v1 * v1 + v2 * v2 + eps)
        ratio = sharp_det / det
        compensation = math.sqrt(ratio)
        # ln opacity gains ln(sharp_det) / 2 - ln(det) / 2, and det = sharp_det + eps (u.u + v.v) + eps^2.
        half = f32(0.5) * v[0]
        d_sharp = half / max(sharp_det, f32(1e-30)) * (f32(1) - ratio)
        d_xx -= half * eps / det
        d_yy -= half * eps / det
    v_opacities[i] += v[0] / opacity if opacity > f32(0) else f32(0)

    # |u x v|^2 has the gradients 2 v x (u x v) and 2 (u x v) x u.
    d_n = f32(2) * d_sharp
    du0 = f32(2) * (d_xx * u0 + d_xy * v0) + d_n * (v1 * n2 - v2 * n1)
    du1 = f32(2) * (d_xx * u1 + d_xy * v1) + d_n * (v2 * n0 - v0 * n2)
    du2 = f32(2) * (d_xx * u2 + d_xy * v2) + d_n * (v0 * n1 - v1 * n0)
    dv0 = f32(2) * (d_yy * v0 + d_xy * u0) + d_n * (n1 * u2 - n2 * u1)
    dv1 = f32(2) * (d_yy * v1 + d_xy * u1) + d_n * (n2 * u0 - n0 * u2)
    dv2 = f32(2) * (d_yy * v2 + d_xy * u2) + d_n * (n0 * u1 - n1 * u0)

    # M = R diag(s): u = a M, v = b M.
    m00, m01, m02 = a0 * du0 + b0 * dv0, a0 * du1 + b0 * dv1, a0 * du2 + b0 * dv2
    m10, m11, m12 = a1 * du0 + b1 * dv0, a1 * du1 + b1 * dv1, a1 * du2 + b1 * dv2
    m20, m21, m22 = a2 * du0 + b2 * dv0, a2 * du1 + b2 * dv1, a2 * du2 + b2 * dv2
    v_scales[i, 0] += R00 * m00 + R10 * m10 + R20 * m20
    v_scales[i, 1] += R01 * m01 + R11 * m11 + R21 * m21
    v_scales[i, 2] += R02 * m02 + R12 * m12 + R22 * m22
    m00, m10, m20, m01, m11, m21 = m00 * s0, m10 * s0, m20 * s0, m01 * s1, m11 * s1, m21 * s1
    m02, m12, m22 = m02 * s2, m12 * s2, m22 * s2
    dw = f32(2) * (qx * (m21 - m12) + qy * (m02 - m20) + qz * (m10 - m01))
    dx = f32(2) * (f32(-2) * qx * (m11 + m22) + qy * (m01 + m10) + qz * (m02 + m20) + qw * (m21 - m12))
    dy = f32(2) * (qx * (m01 + m10) - f32(2) * qy * (m00 + m22) + qz * (m12 + m21) + qw * (m02 - m20))
    dz = f32(2) * (qx * (m02 + m20) + qy * (m12 + m21) - f32(2) * qz * (m00 + m11) + qw * (m10 - m01))
    radial = dw * qw + dx * qx + dy * qy + dz * qz  # the length of the quaternion changes nothing
    v_quats[i, 0] += (dw - radial * qw) * norm
    v_quats[i, 1] += (dx - radial * qx) * norm
    v_quats[i, 2] += (dy - radial * qy) * norm
    v_quats[i, 3] += (dz - radial * qz) * norm

    # a = fx/Z (row0 - jx row2), b = fy/Z (row1 - jy row2) of the camera's rotation.
    da0, da1, da2 = (
        s0 * R00 * du0 + s1 * R01 * du1 + s2 * R02 * du2,
        s0 * R10 * du0 + s1 * R11 * du1 + s2 * R12 * du2,
        s0 * R20 * du0 + s1 * R21 * du1 + s2 * R22 * du2,
    )
    db0, db1, db2 = (
        s0 * R00 * dv0 + s1 * R01 * dv1 + s2 * R02 * dv2,
        s0 * R10 * dv0 + s1 * R11 * dv1 + s2 * R12 * dv2,
        s0 * R20 * dv0 + s1 * R21 * dv1 + s2 * R22 * dv2,
    )
    d_jx = -fxz * (da0 * r20 + da1 * r21 + da2 * r22)
    d_jy = -fyz * (db0 * r20 + db1 * r21 + db2 * r22)
    dZ = v_depth - rz * (da0 * a0 + da1 * a1 + da2 * a2 + db0 * b0 + db1 * b1 + db2 * b2)
    dX, dY = f32(0), f32(0)
    if x_low < tan_x < x_high:
        dX = d_jx * rz
        dZ -= d_jx * tan_x * rz
    if y_low < tan_y < y_high:
        dY = d_jy * rz
        dZ -= d_jy * tan_y * rz
    v_means[i, 0] += r00 * dX + r10 * dY + r20 * dZ
    v_means[i, 1] += r01 * dX + r11 * dY + r21 * dZ
    v_means[i, 2] += r02 * dX + r12 * dY + r22 * dZ


@njit(**KERNEL)
def project_backward(
    counter, bands, stride, order, starts, stream, gradients, source, records, width, depth_channel,
    means, quats, scales, opacities, cam, v_means, v_quats, v_scales, v_opacities, v_colors, v_means2d, v_absolute,
):  # fmt: skip
    """Adds up each visible splat's sums over its tiles, in a fixed order, and carries them to its parameters.

    All v_* arrays are added to, except v_means2d and v_absolute (N,2), which are written: they belong to one camera.
    """
    total = np.empty(32, dtype=np.float32)
    conic = np.empty(4, dtype=np.float32)
    while True:
        first = atomic_next(counter) * BACKWARD_CHUNK
        if first >= order.shape[0]:
            break
        for n in range(first, min(first + BACKWARD_CHUNK, order.shape[0])):
            for c in range(stride):
                total[c] = f32(0)
            for band in range(bands):
                for entry in range(starts[band, n], starts[band, n + 1]):
                    o = np.int64(stream[entry]) * stride
                    for c in range(stride):
                        total[c] += gradients[o + c]
            j = order[n]
            i = source[j]
            record = records[j * width : (j + 1) * width]
            a, b, c = record[2] * (f32(2) / LOG2_E), record[3] / LOG2_E, record[4] * (f32(2) / LOG2_E)
            # d ln(alpha) / d mean = conic (p - mean); dx, dy are p - mean.
            v_means2d[i, 0] = a * total[1] + b * total[2]
            v_means2d[i, 1] = b * total[1] + c * total[2]
            v_absolute[i, 0], v_absolute[i, 1] = total[6], total[7]
            conic[0] = total[0]
            conic[1], conic[2], conic[3] = f32(-0.5) * total[3], -total[4], f32(-0.5) * total[5]
            for k in range(v_colors.shape[1]):
                v_colors[i, k] += total[MOMENTS + k]
            v_depth = total[MOMENTS + depth_channel] if depth_channel >= 0 else f32(0)
            _splat_backward(
                i, means[i], quats[i], scales[i], opacities[i], cam, record, conic, v_depth,
                v_means, v_quats, v_scales, v_opacities,
            )  # fmt: skip


@njit(**KERNEL)
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
