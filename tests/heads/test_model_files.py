"""Models are found as downloaded, recognised by content, converted once, and nothing in a file can run or escape."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.heads.model_arrays import checked
from pipeline.heads.model_cache import CACHE_VARIABLE, cache_folder, converted
from pipeline.heads.model_files import MODELS_VARIABLE, find_model, find_models, model_at, survey
from pipeline.heads.model_sources import Source
from tests.heads import archives, models


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.mark.parametrize("release", ["flame2019", "flame2023", "flame2023_open"])
def test_a_renamed_file_is_found_by_its_content_or_its_folder(flame_file, tmp_path, release):
    folder = tmp_path / ("anything" if release == "flame2023_open" else release)
    folder.mkdir()
    shutil.copy(flame_file(release), folder / "my model.pkl")
    assert [(model.kind, model.release) for model in find_models(tmp_path)] == [("flame", release)]


def test_official_archives_work_as_downloaded(flame_file, smplx_file, tmp_path):
    archives.write_flame_archives(tmp_path, flame_file)
    archives.write_smplx_archive(tmp_path, smplx_file)
    (tmp_path / "notes.zip").write_bytes(b"no archive")
    (tmp_path / "photo.pkl").write_bytes(b"\x80\x04" + bytes(2_000_000))
    found = {model.release: model for model in survey(tmp_path)}
    assert list(found) == ["flame2023", "flame2020", "flame2023_open", "flame2023_no_jaw", "smplx2019"]
    assert found["flame2020"].name == "FLAME2020.zip/generic_model.pkl"
    assert found["flame2020"].notes == ()
    assert found["smplx2019"].name == "models_smplx_v1_1.zip/models/smplx/SMPLX_NEUTRAL.npz"
    assert found["flame2023_open"].licence == "CC-BY-4.0"
    assert "no jaw joint" in found["flame2023_no_jaw"].problem
    assert [model.release for model in find_models(tmp_path)] == [name for name in found if "no_jaw" not in name]
    with pytest.raises(UserError, match=r"FLAME2023\.zip/flame2023_no_jaw\.pkl cannot be used: it has no jaw joint"):
        find_model("flame2023_no_jaw", tmp_path)


def test_smplx_as_npz_and_as_pickle(smplx_file, tmp_path):
    model = model_at(smplx_file, "smplx")
    assert model.release == "smplx2020"
    assert "by its name" in model.notes[0]
    with np.load(model.model.arrays_file, allow_pickle=False) as stored:
        assert not {"joint2num", "part2num", "allow_pickle"} & set(stored.files)
        assert stored["shapedirs"].dtype == np.float32
    old = models.smplx_arrays()["shapedirs"][:, :, :20]  # as files of ten and ten directions
    models.write_smplx(tmp_path, "SMPLX_NEUTRAL_2020.pkl", shapedirs=old)
    with np.load(model_at(tmp_path, "smplx").model.arrays_file) as other, np.load(model.model.arrays_file) as stored:
        assert np.array_equal(other["v_template"], stored["v_template"])


def test_folders_come_from_the_environment(flame_file, tmp_path, monkeypatch):
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    assert find_models() == []
    with pytest.raises(UserError, match=r"register at https://flame\.is\.tue\.mpg\.de and download FLAME2023\.zip"):
        find_model("flame")
    folders = [tmp_path / "nowhere", flame_file("flame2020").parent, flame_file("flame2023_open").parent]
    monkeypatch.setenv(MODELS_VARIABLE, os.pathsep.join(map(str, folders)))
    assert find_model("flame").release == "flame2020"
    assert find_model("flame2023_open").release == "flame2023_open"
    with pytest.raises(UserError, match=r"smpl-x\.is\.tue\.mpg\.de and download SMPLX_NEUTRAL_2020\.npz"):
        find_model("smplx")
    with pytest.raises(UserError, match="no head model 'star'; there are anny, flame, smplx, flame2023"):
        find_model("star")


def test_a_path_can_be_given_with_its_release(flame_file, tmp_path):
    path = shutil.copy(flame_file("flame2019"), tmp_path / "model.pkl")
    assert model_at(Path(path), "flame").release == "flame2020"
    assert "neither the file nor its name" in model_at(Path(path), "flame").notes[0]
    assert model_at(Path(path), "flame", "flame2019").release == "flame2019"
    with pytest.raises(UserError, match="no release 'smplx2020' of FLAME"):
        model_at(Path(path), "flame", "smplx2020")
    with pytest.raises(UserError, match=r"model\.pkl is a FLAME model, not SMPLX"):
        model_at(Path(path), "smplx")
    with pytest.raises(UserError, match=r"there is no head model .*nowhere\.pkl"):
        model_at(tmp_path / "nowhere.pkl", "flame")


def test_conversion_happens_once_and_notices_a_replaced_file(flame_file, tmp_path, monkeypatch):
    path = Path(shutil.copy(flame_file("flame2020"), tmp_path / "flame2020.pkl"))
    first = converted(Source(path))
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.heads.model_cache.convert", None)
        assert converted(Source(path)) == first
        os.utime(path, (1, 1))
        assert converted(Source(path)) == first  # another time of change, the same content
    shutil.copy(flame_file("flame2019"), path)
    assert converted(Source(path)).content != first.content


def test_a_conversion_that_fails_leaves_nothing(tmp_path, empty_cache):
    arrays = dict(models.flame_arrays("flame2020"))
    arrays["weights"] = np.ones_like(arrays["weights"])
    models.write_pickle(tmp_path / "flame2020.pkl", arrays, ())
    with pytest.raises(UserError, match="do not sum to 1 at every vertex"):
        converted(Source(tmp_path / "flame2020.pkl"))
    assert [file for file in cache_folder().rglob("*") if file.is_file()] == []


class Shell:
    """Unpickling it would run a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> object:
        return os.system, (self.command,)


def test_code_in_a_pickle_never_runs(tmp_path):
    marker = tmp_path / "ran"
    arrays = dict(models.flame_arrays("flame2020")) | {"bs_type": Shell(f"touch {marker}")}
    (tmp_path / "flame2020.pkl").write_bytes(pickle.dumps(arrays, protocol=2))
    (model,) = survey(tmp_path)
    assert not marker.exists()
    assert model.release == "flame2020"
    assert model.problem
    assert find_models(tmp_path) == []


def test_names_in_an_archive_lead_nowhere(flame_file, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    with zipfile.ZipFile(folder / "FLAME2020.zip", "w") as archive:
        archive.write(flame_file("flame2020"), "../../escaped/generic_model.pkl")
    before = {file for file in tmp_path.rglob("*") if "cache" not in str(file)}
    (model,) = find_models(folder)
    assert model.release == "flame2020"
    assert {file for file in tmp_path.rglob("*") if "cache" not in str(file)} == before


@pytest.mark.parametrize(
    ("key", "array", "sentence"),
    [
        ("v_template", np.zeros((5143, 3)), "has 5143 vertices; FLAME has 5023 and SMPL-X 10475"),
        ("f", np.zeros((9975, 3), np.uint32), "f of flame.npz is 9975 × 3; FLAME has 9976 × 3"),
        ("f", np.full((9976, 3), 5023, np.uint32), "names vertices up to 5023"),
        ("posedirs", np.zeros((5023, 3, 27)), "posedirs of flame.npz is 5023 × 3 × 27; FLAME has 5023 × 3 × 36"),
        ("weights", np.full((5023, 5), np.nan), "weights of flame.npz holds values that are no numbers"),
        ("kintree_table", np.array([[0, 4, 1, 1, 1], range(5)]), "kintree_table of flame.npz is no tree"),
        ("J_regressor", np.array([{}], dtype=object), "it has no J_regressor"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, key, array, sentence):
    arrays = dict(models.flame_arrays("flame2020"))
    arrays |= {"J_regressor": arrays["J_regressor"].toarray(), key: array}
    np.savez(tmp_path / "flame.npz", **arrays)
    with pytest.raises(UserError, match=sentence):
        model_at(tmp_path / "flame.npz", "flame")


def test_smplx_needs_its_hands_and_landmarks():
    arrays = {key: array for key, array in models.smplx_arrays().items() if key not in ("hands_meanl", "lmk_faces_idx")}
    with pytest.raises(UserError, match="lacks lmk_faces_idx, hands_meanl, which every SMPL-X file has"):
        checked(arrays, "SMPLX_NEUTRAL_2020.npz")


def test_a_file_cut_short_is_named(flame_file, smplx_file, tmp_path):
    for source, name in ((flame_file("flame2020"), "flame2020.pkl"), (smplx_file, "SMPLX_NEUTRAL_2020.npz")):
        (tmp_path / name).write_bytes(source.read_bytes()[:3_000_000])
    (tmp_path / "FLAME2023.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    problems = {model.source.name: model.problem for model in survey(tmp_path)}
    assert list(problems) == ["FLAME2023.zip", "flame2020.pkl", "SMPLX_NEUTRAL_2020.npz"]
    assert "is damaged or cut short" in problems["FLAME2023.zip"]
    assert "SMPLX_NEUTRAL_2020.npz is damaged or cut short" in problems["SMPLX_NEUTRAL_2020.npz"]
    assert problems["flame2020.pkl"]


def test_an_array_that_promises_more_than_its_bytes_is_not_made(smplx_file, tmp_path):
    path = Path(shutil.copy(smplx_file, tmp_path / "SMPLX_NEUTRAL_2020.npz"))
    huge = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    huge += b"{'descr': '<f8', 'fortran_order': False, 'shape': (90000000000, 3, 400), }".ljust(117) + b"\n"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "SMPLX_HUGE_2020.npz", "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, huge if info.filename == "shapedirs.npy" else old.read(info))
    with pytest.raises(UserError, match="it has no shapedirs"):
        model_at(tmp_path / "SMPLX_HUGE_2020.npz", "smplx")


@pytest.mark.parametrize("place", ["none", "file/below"])
def test_a_variable_that_names_no_folder_is_told(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path / place))
    with pytest.raises(UserError, match=rf"it now names .*{place}, which is no folder"):
        find_model("flame")
