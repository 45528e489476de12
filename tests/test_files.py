"""Files and folders appear whole or not at all, also when the writer is killed."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.files import whole_file, whole_folder, zip_folder

ROOT = Path(__file__).parents[1]


def fill(target):
    with whole_file(target) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError


def fill_folder(target):
    with whole_folder(target) as partial:
        (partial / "half").touch()
        raise RuntimeError


def test_a_failing_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        fill(target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_writer_replaces_the_file(tmp_path):
    target = tmp_path / "new" / "a.bin"
    with whole_file(target) as partial:
        partial.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failing_writer_leaves_the_old_folder(tmp_path):
    target = tmp_path / "avatar"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(RuntimeError):
        fill_folder(target)
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_writer_replaces_the_folder(tmp_path):
    target = tmp_path / "avatar"
    target.mkdir()
    (target / "old").touch()
    with whole_folder(target) as partial:
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path):
    target = tmp_path / "a.bin"
    code = (
        "import sys, time; from pathlib import Path; from pipeline.files import whole_file\n"
        f"with whole_file(Path({str(target)!r})) as partial:\n"
        "    partial.write_bytes(b'half'); print('writing', flush=True); time.sleep(60)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    time.sleep(0.1)
    assert not target.exists()


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "file").symlink_to(tmp_path / "a.bin")
    with whole_folder(tmp_path / "folder") as partial:
        (partial / "new").touch()
    with whole_file(tmp_path / "file") as partial:
        partial.write_bytes(b"whole")
    assert (tmp_path / "real" / "new").exists()
    assert (tmp_path / "a.bin").read_bytes() == b"whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "file", "folder", "real"]


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path, monkeypatch):
    target = tmp_path / "avatar"
    target.mkdir()
    (target / "old").touch()
    replace = os.replace

    def refuse_the_new_one(source, place):
        if Path(place) == target and (Path(source) / "new").exists():
            raise PermissionError(13, "Permission denied")
        replace(source, place)

    monkeypatch.setattr(os, "replace", refuse_the_new_one)
    with pytest.raises(UserError, match=r"avatar cannot be written \(Permission denied\)"), whole_folder(target) as new:
        (new / "new").touch()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_places_that_cannot_be_written_are_one_sentence_and_nothing_begins(whole, tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "device")
    for place in (tmp_path / "file" / "below", tmp_path / ("x" * 300), tmp_path / "device", Path("/proc/nowhere")):
        with pytest.raises(UserError, match=r"cannot be written \(|is a folder or a device|is a file"), whole(place):
            pytest.fail("the block began")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "file"]


def test_a_file_does_not_replace_a_folder_nor_a_folder_a_file(tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is a folder or a device"), whole_file(tmp_path / "folder"):
        pytest.fail("the block began")
    with pytest.raises(UserError, match="is a file"), whole_folder(tmp_path / "file"):
        pytest.fail("the block began")
    assert (tmp_path / "file").read_text() == "precious"


def test_the_working_folder_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="the folder you are in"), whole_folder(Path(".")):
        pytest.fail("the block began")


def test_the_longest_name_can_be_written(tmp_path):
    for name in ("x" * 255, "語" * 85):
        with whole_file(tmp_path / name) as partial:
            partial.write_bytes(b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"


def test_a_packed_folder_is_whole_or_not_there(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("a", "b"):
        (tmp_path / "folder" / name).write_text(name)
    zip_folder(tmp_path / "folder", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a": b"a", "b": b"b"}
    (tmp_path / "folder" / "c").symlink_to("nowhere")
    with pytest.raises(UserError, match="cannot be written"):
        zip_folder(tmp_path / "folder", tmp_path / "b.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "folder"]
