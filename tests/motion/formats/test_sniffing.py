"""Every example file is recognised by exactly one reader, from its headers."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.motion import load_motion, write_motion
from pipeline.motion.formats import FORMATS
from pipeline.motion.formats.sources import open_source
from tests.motion.formats import layouts_arkit
from tests.motion.formats.layouts import LAYOUTS, Track, write_expression, write_gaussian_avatars, write_pose
from tests.motion.making import a_motion


def examples(folder):
    """Name → files and the format that reads them."""
    for name, (kind, write) in LAYOUTS.items():
        yield name, [write(folder / name, Track())], kind
    pair = [write_expression(folder / "e.npy", Track()), write_pose(folder / "p.npy", Track())]
    yield "pair", pair, "AnimPortrait3D expression and pose"
    write_motion(a_motion(), folder / "clip.npz")
    yield "own clip", [folder / "clip.npz"], "motion clip of this project"
    np.savez(folder / "advice.npz", expr=Track().expr, jaw_pose=Track().jaw)
    yield "advice", [folder / "advice.npz"], "GaussianAvatars flame_param"
    respelled = {"neck_pose": "neck", "jaw_pose": "jaw", "eyes_pose": "eyes"}
    yield "live names", [write_gaussian_avatars(folder / "l.npz", Track(), respelled)], "GaussianAvatars flame_param"
    for name, (write, kind) in layouts_arkit.LAYOUTS.items():
        (folder / f"arkit_{name}").mkdir()
        yield f"arkit {name}", write(folder / f"arkit_{name}"), kind


def test_exactly_the_right_reader_recognises_each(tmp_path):
    claims = {}
    for name, paths, kind in examples(tmp_path):
        workspace = tmp_path / f"workspace {name}"
        workspace.mkdir()
        sources = [open_source(path, workspace) for path in paths]
        claims[name] = (kind, [reader.name for reader in FORMATS if reader.sniff(sources)])
    wrong = {name: claim for name, claim in claims.items() if claim[1] != [claim[0]]}
    assert not wrong
    assert len(claims) >= 30
    assert {kind for kind, _ in claims.values()} == {reader.name for reader in FORMATS}, "every reader has an example"


def test_names_are_of_no_account(tmp_path):
    for name, paths, kind in examples(tmp_path):
        if len(paths) == 1 and paths[0].is_file() and name in ("vhap.npz", "show.pkl", "talkshow.npy", "vhap_zip.zip"):
            renamed = paths[0].rename(tmp_path / f"{paths[0].stem}.bin")
            assert load_motion([renamed]).format == kind


@pytest.mark.parametrize(
    "arrays",
    [
        {"vertices": np.zeros((5, 3))},
        {"shape": np.zeros(300)},
        {"translation": np.zeros((5, 3))},
        {"shape": np.zeros(3)},
    ],
)
def test_nothing_is_recognised_in_other_arrays(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=f"no motion was found in a.npz with {next(iter(arrays))}"):
        load_motion([tmp_path / "a.npz"])
