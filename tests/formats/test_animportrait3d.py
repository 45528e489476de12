"""AnimPortrait3D's PLY and fitted parameters: bit for bit, and nothing wrong gets in."""

from __future__ import annotations

import io
import pickle

import numpy as np
import numpy.lib.recfunctions  # not loaded by numpy itself
import plyfile
import pytest
import torch

from pipeline.avatar import Layer
from pipeline.errors import UserError
from pipeline.formats.animportrait3d import PROPERTIES, LocalSplats, is_local_ply, read_local_ply, write_local_ply
from pipeline.formats.fitted_params import read_fitted_params, write_fitted_params
from pipeline.formats.ply import write_ply
from tests import animportrait3d_avatar as theirs
from tests.formats.test_ply import cloud


@pytest.fixture(scope="module")
def table():
    return theirs.point_cloud(300, seed=3)


def written(path, table):
    path.write_bytes(theirs.ply_bytes(table))
    return path


def test_the_file_comes_back_byte_for_byte(tmp_path, table):
    table = table.copy()
    table["x"][:4] = [-0.0, 1e-42, 3.4e38, np.nextafter(np.float32(1), np.float32(2))]
    original = written(tmp_path / "a.ply", table)
    splats, notes = read_local_ply(original)
    write_local_ply(splats, tmp_path / "b.ply")
    assert notes == ()
    assert (tmp_path / "b.ply").read_bytes() == original.read_bytes()


def test_the_values_are_where_they_belong(tmp_path, table):
    splats, _ = read_local_ply(written(tmp_path / "a.ply", table))
    assert PROPERTIES == theirs.PROPERTIES
    np.testing.assert_array_equal(splats.means[:, 1], table["y"])
    np.testing.assert_array_equal(splats.sh[:, 0, 2], table["f_dc_2"])
    np.testing.assert_array_equal(splats.sh[:, 2, 1], table["f_rest_16"])  # channel by channel: 15 of red come first
    np.testing.assert_array_equal(splats.quats[:, 0], table["rot_0"])
    np.testing.assert_array_equal(splats.face, table["binding_0"].astype(int))
    hair = table["hair_points_mask"] == 1
    assert bool((splats.layer[torch.from_numpy(hair)] == Layer.HAIR).all())
    assert set(splats.layer.tolist()) == {Layer.SKIN, Layer.EYE, Layer.MOUTH, Layer.HAIR, Layer.CLOTH}


def test_another_order_of_properties_and_byte_order_read_the_same(tmp_path, table):
    mixed = np.zeros(len(table), [(name, ">f4") for name in reversed(PROPERTIES)])
    for name in PROPERTIES:
        mixed[name] = table[name]
    plyfile.PlyData([plyfile.PlyElement.describe(mixed, "vertex")], byte_order=">").write(str(tmp_path / "b.ply"))
    one, _ = read_local_ply(written(tmp_path / "a.ply", table))
    other, _ = read_local_ply(tmp_path / "b.ply")
    assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def without(table, names):
    return np.ascontiguousarray(np.lib.recfunctions.repack_fields(table[[n for n in PROPERTIES if n not in names]]))


def test_a_file_without_masks_is_skin_and_says_so(tmp_path, table):
    splats, notes = read_local_ply(written(tmp_path / "a.ply", without(table, PROPERTIES[-5:])))
    assert bool((splats.layer == Layer.SKIN).all())
    assert notes == ("the file has no masks of hair, clothes, teeth and eyes: everything is taken for skin",)


def test_a_lower_degree_is_filled_with_zeros(tmp_path, table):
    rest = [f"f_rest_{index}" for index in range(9, 45)]
    splats, _ = read_local_ply(written(tmp_path / "a.ply", without(table, rest)))
    assert splats.sh.shape[1] == 4
    write_local_ply(splats, tmp_path / "b.ply")
    whole, _ = read_local_ply(tmp_path / "b.ply")
    assert torch.equal(whole.sh[:, :4], splats.sh)
    assert not whole.sh[:, 4:].any()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("binding_0", 17981, r"binds a splat to triangle 17981; the mesh has triangles 0 to 17980"),
        ("binding_0", 2.5, r"triangle 2\.5"),
        ("binding_0", -1, r"triangle -1"),
        ("scale_1", np.nan, "not finite, the first in scale_1"),
        ("f_rest_44", np.inf, "not finite, the first in f_rest_44"),
        ("hair_points_mask", 0.5, "masks of a.ply do not say"),
        ("teeth_points_mask", 1, "masks of a.ply do not say"),
    ],
)
def test_a_number_that_cannot_be_is_a_sentence(tmp_path, table, name, value, sentence):
    table = table.copy()
    row = int(np.flatnonzero(table["hair_points_mask"] == 1)[0])
    table[name][row] = value
    with pytest.raises(UserError, match=sentence):
        read_local_ply(written(tmp_path / "a.ply", table))


def test_a_quaternion_of_zeros_is_a_sentence(tmp_path, table):
    table = table.copy()
    for axis in range(4):
        table[f"rot_{axis}"][7] = 0
    with pytest.raises(UserError, match="without a rotation"):
        read_local_ply(written(tmp_path / "a.ply", table))


def test_other_files_are_named(tmp_path, table):
    with pytest.raises(UserError, match="it has no property opacity"):
        read_local_ply(written(tmp_path / "a.ply", without(table, ["opacity"])))
    with pytest.raises(UserError, match="44 values f_rest"):
        read_local_ply(written(tmp_path / "a.ply", without(table, ["f_rest_44"])))
    with pytest.raises(UserError, match="no smplx_points_mask; all five"):
        read_local_ply(written(tmp_path / "a.ply", without(table, ["smplx_points_mask"])))
    double = table.astype([(name, "f8" if name == "x" else "f4") for name in PROPERTIES])
    with pytest.raises(UserError, match="property x is not float32"):
        read_local_ply(written(tmp_path / "a.ply", double))
    write_ply(cloud(5, 4), tmp_path / "plain.ply")
    assert not is_local_ply(tmp_path / "plain.ply")
    with pytest.raises(UserError, match="no property binding_0"):
        read_local_ply(tmp_path / "plain.ply")


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path, table):
    content = theirs.ply_bytes(table)
    (tmp_path / "a.ply").write_bytes(content.replace(b"element vertex 300", b"element vertex 2000000"))
    with pytest.raises(UserError, match=r"a\.ply is no readable PLY"):
        read_local_ply(tmp_path / "a.ply")
    (tmp_path / "b.ply").write_bytes(content[:-7])
    with pytest.raises(UserError, match=r"b\.ply is no readable PLY"):
        read_local_ply(tmp_path / "b.ply")


def test_layers_that_their_masks_do_not_know_are_refused(tmp_path, table):
    splats, _ = read_local_ply(written(tmp_path / "a.ply", table))
    worn = LocalSplats(**{**vars(splats), "layer": torch.full_like(splats.layer, Layer.ACCESSORY)})
    with pytest.raises(UserError, match="this avatar has other layers"):
        write_local_ply(worn, tmp_path / "b.ply")
    assert not (tmp_path / "b.ply").exists()


def test_fitted_parameters_round_trip(tmp_path):
    (tmp_path / "a.pkl").write_bytes(theirs.params_pickle(5))
    shape, fit = read_fitted_params(tmp_path / "a.pkl")
    write_fitted_params(shape, fit, tmp_path / "b.pkl")
    original = theirs.fitted_params(5)
    again = torch.load(tmp_path / "b.pkl", weights_only=False)
    assert list(again) == list(original)
    for name, values in original.items():
        assert again[name].dtype == np.float32
        np.testing.assert_array_equal(again[name], values)
    assert fit.eyelids == tuple(original["fitted_eyelid_params"][0].tolist())


def test_fitted_parameters_open_with_the_numpy_that_animportrait3d_needs(tmp_path):
    """numpy before 2 has no module ``numpy._core``."""
    (tmp_path / "a.pkl").write_bytes(theirs.params_pickle())
    write_fitted_params(*read_fitted_params(tmp_path / "a.pkl"), tmp_path / "b.pkl")
    content = (tmp_path / "b.pkl").read_bytes()
    assert b"numpy.core.multiarray" in content
    assert b"numpy._core" not in content


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fitted_shape": None}, r"a\.pkl has no fitted_shape"),
        (
            {"fitted_expr": np.zeros((1, 50), np.float32)},
            r"fitted_expr of a\.pkl has shape \(1, 50\); it must hold 100",
        ),
        ({"fitted_jaw_pose": np.array([[np.nan, 0, 0]], np.float32)}, "numbers that no fit has"),
        ({"fitted_global_scale": np.array([[0]], np.float32)}, "it must be positive"),
        ({"fitted_eyelid_params": np.array([[0, 7]], np.float32)}, "lids lie between 0"),
        ({"fitted_neck_pose": np.array([[1, 2, 3]])}, "3 real numbers"),
    ],
)
def test_a_fit_that_cannot_be_is_a_sentence(tmp_path, change, sentence):
    values = {name: value for name, value in (theirs.fitted_params() | change).items() if value is not None}
    torch.save(values, tmp_path / "a.pkl")
    with pytest.raises(UserError, match=sentence):
        read_fitted_params(tmp_path / "a.pkl")


def test_a_fit_with_code_in_it_is_refused_and_never_runs(tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    buffer = io.BytesIO()
    torch.save({"fitted_shape": Attack()}, buffer)
    for name, content in (("zip.pkl", buffer.getvalue()), ("plain.pkl", pickle.dumps({"fitted_shape": Attack()}))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError):
            read_fitted_params(tmp_path / name)
    assert not (tmp_path / "executed").exists()
