"""3DGS PLY and the interchange GLB."""

from __future__ import annotations

import numpy as np
import plyfile
import pygltflib
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avatar import SH_C0, Gaussians
from pipeline.errors import UserError
from pipeline.formats.interchange import write_interchange_glb
from pipeline.formats.ply import read_ply, write_ply


def cloud(count: int, coefficients: int = 1) -> Gaussians:
    generator = torch.Generator().manual_seed(count)
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    return Gaussians(
        means=draw(count, 3) - 0.5,
        quats=torch.nn.functional.normalize(draw(count, 4) - 0.5, dim=-1),
        scales=draw(count, 3) * 0.01 + 1e-4,
        opacities=draw(count) * 0.98 + 0.01,
        sh=draw(count, coefficients, 3) - 0.5,
    )


@given(count=st.integers(1, 40), coefficients=st.sampled_from([1, 4, 9, 16]))
def test_ply_round_trip(tmp_path_factory, count, coefficients):
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    before = cloud(count, coefficients)
    write_ply(before, path)
    after = read_ply(path)
    for name, value in vars(before).items():
        torch.testing.assert_close(getattr(after, name), value, atol=1e-5, rtol=1e-5)


def test_ply_has_the_trainers_properties(tmp_path):
    write_ply(cloud(5, 4), tmp_path / "a.ply")
    vertex = plyfile.PlyData.read(str(tmp_path / "a.ply"))["vertex"]
    names = [p.name for p in vertex.properties]
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[9:18] == [f"f_rest_{i}" for i in range(9)]
    assert names[18:] == ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    np.testing.assert_allclose(vertex["f_rest_1"], cloud(5, 4).sh[:, 2, 0], atol=1e-6)


def test_opaque_splats_are_written_finite(tmp_path):
    opaque = cloud(3)
    opaque.opacities[:] = torch.tensor([0.0, 1.0, 0.5])
    write_ply(opaque, tmp_path / "a.ply")
    assert read_ply(tmp_path / "a.ply").opacities[1] > 0.99999


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\nproperty float x\nend_header\n",
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 2\nproperty float x\nend_header\n1234",
    ],
)
def test_a_wrong_ply_is_a_sentence(tmp_path, content):
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.ply is no "):
        read_ply(tmp_path / "a.ply")


def test_nothing_to_write_is_a_sentence(tmp_path):
    for write in (write_ply, write_interchange_glb):
        with pytest.raises(UserError, match="no splats"):
            write(cloud(0), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_interchange_attributes(tmp_path):
    before = cloud(7, 4)
    write_interchange_glb(before, tmp_path / "a.glb")
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    primitive = document.meshes[0].primitives[0]
    assert primitive.mode == 0
    assert primitive.extensions["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    attributes = vars(primitive.attributes)

    def values(name, width):
        accessor = document.accessors[attributes[name]]
        offset = document.bufferViews[accessor.bufferView].byteOffset
        return np.frombuffer(document.binary_blob(), "<f4", accessor.count * width, offset).reshape(-1, width)

    prefix = "KHR_gaussian_splatting:"
    np.testing.assert_allclose(values(prefix + "ROTATION", 4), before.quats[:, [1, 2, 3, 0]], atol=1e-6)
    np.testing.assert_allclose(values(prefix + "SCALE", 3), before.scales.log(), atol=1e-5)
    np.testing.assert_allclose(values(prefix + "OPACITY", 1)[:, 0], before.opacities, atol=1e-6)
    np.testing.assert_allclose(values(prefix + "SH_DEGREE_1_COEF_2", 3), before.sh[:, 3], atol=1e-6)
    constant = values(prefix + "SH_DEGREE_0_COEF_0", 3)
    np.testing.assert_allclose(SH_C0 * constant + 0.5, before.colors, atol=1e-5)
