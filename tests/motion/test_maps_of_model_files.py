"""The maps on FLAME and SMPL-X files as a user brings them: registered from geometry alone, own mesh, own basis."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.heads import AnnyHead, Rig
from pipeline.heads.flame import FlameHead
from pipeline.heads.model_cache import CACHE_VARIABLE
from pipeline.heads.model_files import MODELS_VARIABLE
from pipeline.heads.smplx import SmplxHead
from pipeline.motion import ARKIT_NAMES, Motion, load_motion, retarget
from pipeline.motion.exports import write_flame_params
from pipeline.motion.maps import library
from pipeline.motion.maps.face_model import FaceModel
from pipeline.motion.maps.metric import face_metric
from pipeline.motion.maps.releases import release_map
from pipeline.motion.motion import still
from tests.heads.models import write_flame, write_smplx
from tests.motion.face_models import CLOSE, OPEN, TONGUE, error_of_round_trip, lip_gaps, lip_gaps_of_actions, on_model
from tests.motion.making import a_motion

CLIPS = Path("examples/motions")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """FLAME 2020 and SMPL-X 2020, as downloaded."""
    place = tmp_path_factory.mktemp("models")
    write_flame(place, "flame2020")
    write_smplx(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MODELS_VARIABLE, str(place))
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield place
    library._load.cache_clear()


@pytest.fixture(scope="module")
def heads(folder) -> dict[str, FaceModel]:
    made = {"flame2020": FlameHead(), "smplx2020": SmplxHead()}
    return {release: FaceModel(head.rig, head.correspondence) for release, head in made.items()}


@pytest.fixture(scope="module")
def free() -> Rig:
    return AnnyHead().rig


@pytest.mark.parametrize("release", ["flame2020", "smplx2020"])
@pytest.mark.parametrize("name", ["talk", "emotions", "range_of_motion"])
def test_round_trip(release, name, heads, free):
    motion = load_motion([CLIPS / f"{name}.npz"])
    error = error_of_round_trip(motion, heads[release], free)
    error[:, TONGUE] = 0
    active = motion.expression.max(0).values > 0.02
    assert float(error[:, active].mean()) <= 0.05
    assert float(error.max()) <= 0.2


@pytest.mark.parametrize("release", ["flame2020", "smplx2020"])
def test_closed_lips_stay_closed(release, heads):
    model, motion = heads[release], load_motion([CLIPS / "talk.npz"])
    weights = motion.expression
    closed = ((weights[:, CLOSE] > 0.9 * weights[:, OPEN]) & (weights[:, OPEN] > 0.03)).numpy()
    assert closed.sum() >= 5
    driven = retarget(motion, model.rig)
    gaps = lip_gaps(model.rig.pose(driven.expression, driven.rotations), model)
    assert gaps[closed].max() < 0.1
    assert np.abs(gaps - lip_gaps_of_actions(weights, model))[closed].max() < 0.2
    assert gaps[int(weights[:, OPEN].argmax())] > 6


def test_flame_moves_smplx_as_it_moves_itself(heads):
    """Same release: coefficients and jaw are copied, root and neck become neck and head."""
    flame, smplx = heads["flame2020"].rig, heads["smplx2020"].rig
    motion = a_motion(basis="flame2020")
    result = retarget(motion, smplx, relative=False)
    assert torch.equal(result.expression[:, :100], motion.expression)
    assert not result.expression[:, 100:].any()
    for joint, name in (("neck", "global_rotation"), ("head", "neck"), ("jaw", "jaw"), ("left_eye", "left_eye")):
        torch.testing.assert_close(result.rotations[:, smplx.joint_index(joint)], getattr(motion, name))
    assert not result.rotations[:, [smplx.joint_index(name) for name in ("spine3", "left_collar")]].any()
    back = retarget(on_model(motion, heads["smplx2020"]), flame, relative=False)
    for joint, name in (("root", "global_rotation"), ("neck", "neck"), ("jaw", "jaw"), ("right_eye", "right_eye")):
        torch.testing.assert_close(back.rotations[:, flame.joint_index(joint)], getattr(motion, name))
    assert back.notes == result.notes == ()


def test_conversion_between_meshes(heads):
    """SMPL-X 2020 has the expressions of FLAME 2020, so through the faces every coefficient should become itself."""
    conversion = release_map(heads["smplx2020"], heads["flame2020"])
    basis = face_metric(heads["flame2020"]).rows(heads["flame2020"].basis)
    clip = np.random.default_rng(0).normal(size=(50, 100))
    missed = np.linalg.norm((clip @ conversion - clip) @ basis, axis=1)
    assert (missed < 0.1 * np.linalg.norm(clip @ basis, axis=1)).all()


def test_a_rig_whose_file_is_not_in_the_folder_is_registered_itself_once(heads, monkeypatch):
    motion, known = load_motion([CLIPS / "talk.npz"]).slice(0, 40), heads["flame2020"]
    with_file = retarget(motion, known.rig).expression
    asked = []

    def correspond(*mesh):
        asked.append(mesh)
        return known.correspondence

    monkeypatch.delenv(MODELS_VARIABLE)
    monkeypatch.setattr(library, "correspond", correspond)
    for _ in range(2):
        torch.testing.assert_close(retarget(motion, known.rig).expression, with_file, atol=1e-4, rtol=0)
    assert len(asked) == 1


def test_blinks_are_in_a_saved_flame_clip(free, tmp_path):
    """GaussianAvatars' file has no eyelids: the lids are closed by coefficients."""
    motion = load_motion([CLIPS / "talk.npz"])
    write_flame_params(motion, tmp_path / "flame_param.npz")
    back = retarget(load_motion([tmp_path / "flame_param.npz"], {"basis": "flame2020", "fps": "30"}), free)
    blinks = [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    assert float((back.expression - motion.expression)[:, blinks].abs().max()) < 0.2


def test_the_clip_of_another_release_is_read_roughly(free):
    result = retarget(Motion(fps=25, basis="flame2019", expression=torch.ones(2, 50), **still(2)), free)
    assert result.expression.any()
    assert any("read as FLAME 2020's" in note for note in result.notes)
