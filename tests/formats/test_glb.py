"""avatar.glb: what comes back, what a plain glTF program sees, and what a damaged file does."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avatar import SH_C0, Layer, SplatAvatar
from pipeline.errors import UserError
from pipeline.formats.glb import avatar_glb_builder, read_avatar_glb, write_avatar_glb
from pipeline.formats.quantize import chunk_order
from pipeline.heads.rig_tools import append_mesh
from tests.synthetic import synthetic_avatar, synthetic_rig


@pytest.fixture(scope="module")
def avatar() -> SplatAvatar:
    return synthetic_avatar(9000)


@pytest.fixture(scope="module")
def written(avatar, tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "avatar.glb"
    write_avatar_glb(avatar, path)
    return path


def sorted_splats(avatar: SplatAvatar) -> dict[str, torch.Tensor]:
    """Splats in an order that does not depend on the file's: by face, then by mean."""
    means = avatar.means.detach()
    keys = [means[:, axis].mul(500).round().numpy() for axis in range(3)]
    order = torch.tensor(np.lexsort([*keys, avatar.layer.numpy(), avatar.face.numpy()]))
    return {name: getattr(avatar, name).detach()[order] for name in ("face", "layer", "means", "log_scales", "sh")}


def test_splats_come_back_within_the_steps_of_the_format(avatar, written):
    before, after = sorted_splats(avatar), sorted_splats(read_avatar_glb(written))
    assert torch.equal(before["face"], after["face"])
    assert torch.equal(before["layer"], after["layer"])
    close = (before["means"] - after["means"]).abs().amax(1) < 2e-4
    assert close.float().mean() > 0.995
    assert (before["log_scales"] - after["log_scales"])[close].abs().max() < 0.01
    assert (before["sh"] - after["sh"])[close].abs().max() < 2.2 / 255 / SH_C0


def test_rotations_and_opacities_come_back(avatar, written):
    with torch.no_grad():
        worlds = [a.gaussians(a.rig.vertices) for a in (avatar, read_avatar_glb(written))]
    orders = [torch.tensor(np.lexsort(w.means.mul(5000).round().numpy().T)) for w in worlds]
    before, after = (w.quats[o] for w, o in zip(worlds, orders, strict=True))
    same = (worlds[0].means[orders[0]] - worlds[1].means[orders[1]]).norm(dim=1) < 1e-5
    assert same.float().mean() > 0.9
    assert (before * after).sum(1).abs()[same].min() > 0.99998
    difference = worlds[0].opacities[orders[0]] - worlds[1].opacities[orders[1]]
    assert difference[same].abs().max() <= 0.51 / 255


def test_the_rig_comes_back(avatar, written):
    before, after = avatar.rig, read_avatar_glb(written).rig
    assert (before.vertices - after.vertices).abs().max() < 3e-6
    assert (before.expressions - after.expressions).abs().max() < 7e-6
    assert torch.equal(before.faces, after.faces)
    assert torch.allclose(before.weights, after.weights, atol=1e-5)
    assert torch.allclose(before.joints, after.joints, atol=1e-6)
    assert (before.joint_names, before.parents) == (after.joint_names, after.parents)
    assert before.expression_names == after.expression_names
    assert before.drivers == after.drivers
    assert before.regions.keys() == after.regions.keys()
    assert all(torch.equal(before.regions[name], after.regions[name]) for name in before.regions)
    assert torch.equal(before.landmarks.faces, after.landmarks.faces)


def test_same_avatar_same_bytes(avatar):
    assert avatar_glb_builder(avatar).to_bytes() == avatar_glb_builder(avatar).to_bytes()


def test_twenty_bytes_per_splat(avatar):
    small, large = (len(avatar_glb_builder(synthetic_avatar(count)).to_bytes()) for count in (1000, 3000))
    assert abs(large - small - 40_000) < 400


def test_every_chunk_covers_the_head_and_eyes_come_first(avatar, written):
    extension = pygltflib.GLTF2().load(str(written)).extensions["AP3D_splat_rig"]
    assert sum(chunk["count"] for chunk in extension["chunks"]) == extension["count"] == 9000
    assert len(extension["chunks"]) == 2
    many = synthetic_avatar(30_000)
    world = many.gaussians(many.rig.vertices)
    layer = many.layer.numpy()
    orders = chunk_order(
        world.means.detach().numpy(), world.opacities.detach().numpy(), layer, many.face.numpy(), (Layer.EYE,)
    )
    assert sorted(np.concatenate(orders)) == list(range(30_000))
    assert all((layer[order] == Layer.EYE).any() == (index < 2) for index, order in enumerate(orders))
    octants = [np.unique((world.means.detach().numpy()[order] > 0) @ [1, 2, 4]).size for order in orders]
    assert octants == [8] * len(orders)


def test_gltf_programs_see_a_plain_head(written):
    loaded = trimesh.load(written, force="mesh")
    assert loaded.faces.shape == (320, 3)
    document = pygltflib.GLTF2().load(str(written))
    assert document.meshes[0].extras["targetNames"] == list(synthetic_rig().expression_names)
    assert [document.nodes[j].name for j in document.skins[0].joints] == list(synthetic_rig().joint_names)
    weights = document.accessors[document.meshes[0].primitives[0].attributes.WEIGHTS_0]
    view = document.bufferViews[weights.bufferView]
    blob = np.frombuffer(document.binary_blob(), "<u2", weights.count * 4, view.byteOffset).reshape(-1, 4)
    assert (blob.astype(int).sum(1) == 65535).all()


def test_buffer_views_do_not_overlap_and_are_aligned(written):
    document = pygltflib.GLTF2().load(str(written))
    end = 0
    for view in document.bufferViews:
        assert view.byteOffset % 4 == 0
        assert view.byteOffset >= end
        end = view.byteOffset + view.byteLength
    assert end <= document.buffers[0].byteLength


def test_cage_faces_carry_splats_but_are_not_drawn(tmp_path):
    rig = synthetic_rig()
    weights = torch.zeros(3, 7)
    weights[:, 4] = 1
    cage = torch.tensor([[0.2, 0.0, 0.0], [0.2, -0.1, 0.0], [0.2, 0.0, 0.1]])
    rig = append_mesh(rig, cage, torch.tensor([[0, 1, 2]]), weights, "hair_cage")
    on_cage = len(rig.faces) - 1
    avatar = SplatAvatar.from_world(
        rig, face=torch.tensor([0, on_cage]), means=torch.tensor([[0.0, 0.0, 0.1], [0.2, -0.1, 0.05]]),
        quats=torch.tensor([[1.0, 0, 0, 0]] * 2), scales=torch.full((2, 3), 0.002), opacities=torch.full((2,), 0.9),
        colors=torch.full((2, 3), 0.5), layer=torch.tensor([0, 3], dtype=torch.uint8),
    )  # fmt: skip
    write_avatar_glb(avatar, tmp_path / "a.glb")
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    primitive = document.meshes[0].primitives[0]
    assert document.accessors[primitive.indices].count == 3 * on_cage
    back = read_avatar_glb(tmp_path / "a.glb")
    assert torch.equal(back.face.long(), torch.tensor([0, on_cage]))
    world = back.gaussians(back.rig.vertices)
    assert torch.allclose(world.means.detach(), torch.tensor([[0.0, 0.0, 0.1], [0.2, -0.1, 0.05]]), atol=1e-5)


def test_higher_harmonics_and_correctives_come_back(tmp_path):
    base = synthetic_avatar(500)
    rig = base.rig
    generator = torch.Generator().manual_seed(3)
    rig = replace(rig, pose_dirs=torch.randn(54, len(rig.vertices), 3, generator=generator) * 0.001)
    avatar = SplatAvatar.from_parts(
        rig, face=base.face, means=base.means, quats=base.quats, log_scales=base.log_scales, layer=base.layer,
        opacity_logits=base.opacity_logits, sh=torch.randn(500, 9, 3, generator=generator) * 0.1,
        rasterize_mode="classic", sh_frame="world",
    )  # fmt: skip
    write_avatar_glb(avatar, tmp_path / "a.glb")
    back = read_avatar_glb(tmp_path / "a.glb")
    assert (back.config["rasterize_mode"], back.config["sh_frame"]) == ("classic", "world")
    assert torch.allclose(back.rig.pose_dirs, rig.pose_dirs, atol=7e-6)
    assert back.sh.shape == avatar.sh.shape
    sums = [a.sh.detach()[:, 1:].sum(0) for a in (avatar, back)]
    assert torch.allclose(sums[0], sums[1], atol=0.2)


@pytest.mark.parametrize("length", [0, 3, 19, 20, 200, 5000])
def test_a_cut_file_is_a_sentence(written, tmp_path, length):
    (tmp_path / "cut.glb").write_bytes(written.read_bytes()[:length])
    with pytest.raises(UserError, match=r"cut\.glb is no readable avatar: "):
        read_avatar_glb(tmp_path / "cut.glb")


def test_a_missing_file_and_a_plain_model_are_sentences(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_avatar_glb(tmp_path / "none.glb")
    trimesh.creation.box().export(tmp_path / "box.glb")
    with pytest.raises(UserError, match="AP3D_splat_rig"):
        read_avatar_glb(tmp_path / "box.glb")


def edited(data: bytes, change) -> bytes:
    """The file with its JSON changed."""
    length = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + length])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return struct.pack("<IIIII", 0x46546C67, 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


def read_or_refused(path: Path) -> bool:
    """Whether the file gives a sound avatar or a sentence; any other error passes through."""
    try:
        avatar = read_avatar_glb(path)
    except UserError as error:
        return str(error).startswith(f"{path.name} is no readable avatar: ")
    return bool(avatar.means.isfinite().all()) and int(avatar.face.max()) < len(avatar.rig.faces)


NUMBERS = st.sampled_from([-1, 0, 1, 7, 2**31, 2**62, 1e300, 0.5, None, "x", [], {}, True])


@given(path=st.lists(st.integers(0, 30), min_size=1, max_size=7), value=NUMBERS)
def test_a_changed_field_is_read_or_refused(written, path, value):
    def change(document):
        owner, steps = document, list(path)
        if steps[0] % 2:
            owner = document["extensions"]["AP3D_splat_rig"]
        while True:
            keys = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
            if not keys:
                return
            key = keys[steps.pop(0) % len(keys)]
            if not steps or not isinstance(owner[key], dict | list):
                owner[key] = value
                return
            owner = owner[key]

    data = edited(written.read_bytes(), change)
    target = written.parent / "changed.glb"
    target.write_bytes(data)
    assert read_or_refused(target)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["extensions"]["AP3D_splat_rig"]["chunks"].__imul__(5000), "claims .* splats"),
        (lambda d: d["meshes"][0]["primitives"][0]["targets"].__imul__(600), "morph targets"),
        (lambda d: d["extensions"]["AP3D_splat_rig"].update(rasterizeMode="wild"), "rasterize_mode is 'wild'"),
        (lambda d: d["extensions"]["AP3D_splat_rig"]["drivers"][0].update(radians=float("nan")), "angle that is no"),
    ],
)
def test_a_small_file_never_unpacks_to_a_huge_or_broken_avatar(written, tmp_path, change, sentence):
    def with_names(document):
        change(document)
        mesh = document["meshes"][0]
        mesh["extras"]["targetNames"] = ["jawOpen"] * len(mesh["primitives"][0]["targets"])

    (tmp_path / "a.glb").write_bytes(edited(written.read_bytes(), with_names))
    with pytest.raises(UserError, match=sentence):
        read_avatar_glb(tmp_path / "a.glb")


@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_read_or_refused(written, at, bit):
    data = bytearray(written.read_bytes())
    data[int(at * len(data))] ^= 1 << bit
    target = written.parent / "flipped.glb"
    target.write_bytes(data)
    assert read_or_refused(target)
