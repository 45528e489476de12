"""Folders and zips from strangers: nothing leaves its place, nothing bursts, pictures cost nothing."""

from __future__ import annotations

import struct
import zipfile

import numpy as np
import pytest

from pipeline.errors import MotionError
from pipeline.motion import load_motion
from pipeline.motion.formats import folder_file
from pipeline.motion.formats.folder_file import open_folder, open_zip
from tests.motion.formats.layouts import Track, write_vhap_folder, zipped

TRACK = Track(frames=12)


@pytest.fixture
def export(tmp_path):
    return write_vhap_folder(tmp_path / "export", TRACK, cameras=1)


def test_members_in_natural_order(tmp_path):
    for name in ("frame10.npz", "frame2.npz", "b/1.npz", "b/10.npz", "b/9.npz"):
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).touch()
    folder = open_folder(tmp_path / "f")
    assert folder.members == ("b/1.npz", "b/9.npz", "b/10.npz", "frame2.npz", "frame10.npz")
    assert folder.named("b/*.npz") == folder.members[:3]


def test_links_are_not_followed(tmp_path, export):
    np.savez(tmp_path / "secret.npz", expr=np.full((1, 100), 9.0))
    (export / "flame_param" / "00003.npz").unlink()
    (export / "flame_param" / "00003.npz").symlink_to(tmp_path / "secret.npz")
    (export / "linked").symlink_to(tmp_path)
    folder = open_folder(export)
    assert "flame_param/00003.npz" not in folder.members
    assert not folder.named("secret.npz")
    assert float(load_motion([export]).expression.max()) < 9


@pytest.mark.parametrize(
    "name", ["../flame_param/0.npz", "/etc/flame_param/0.npz", "a/../../0.npz", "..\\0.npz", "C:\\flame_param\\0.npz"]
)
def test_names_that_lead_outside(tmp_path, export, name):
    path = zipped(export, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(MotionError, match="leads outside it, so it was not opened"):
        load_motion([path])


def test_links_in_a_zip(tmp_path, export):
    path = zipped(export, tmp_path / "a.zip")
    link = zipfile.ZipInfo("flame_param/9.npz")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(MotionError, match="leads outside"):
        load_motion([path])


def test_pictures_are_neither_counted_nor_read(tmp_path, export, monkeypatch):
    path = zipped(export, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/white.PNG", bytes(40 * 2**20))
    monkeypatch.setattr(folder_file, "MOST_MEMBERS", 14)
    assert len(load_motion([path])) == 12
    assert len(load_motion([export])) == 12


def test_too_many_files(tmp_path, export, monkeypatch):
    monkeypatch.setattr(folder_file, "MOST_MEMBERS", 13)
    with pytest.raises(MotionError, match=r"a\.zip holds 14 files; a clip has at most 13"):
        load_motion([zipped(export, tmp_path / "a.zip")])
    with pytest.raises(MotionError, match="export holds more than 13 files"):
        load_motion([export])


def test_bomb(tmp_path, export):
    path = zipped(export, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flame_param/00012.npz", bytes(60 * 2**20))
    with pytest.raises(MotionError, match="would unpack to 60 MB"):
        load_motion([path])


def test_a_member_ends_where_the_directory_says(tmp_path):
    """A directory that claims less than a member holds."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.json", bytes(2**20))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    path.write_bytes(data)
    (tmp_path / "workspace").mkdir()
    folder = open_zip(path, tmp_path / "workspace")
    try:
        assert folder.fetch("big.json").stat().st_size <= 1000
    except MotionError as error:
        assert "damaged" in str(error)  # noqa: PT017 (either refusal is fine)


def test_damage_is_one_sentence(tmp_path, export):
    data = zipped(export, tmp_path / "a.zip").read_bytes()
    for length in (10, len(data) // 2, len(data) - 5):
        (tmp_path / "cut.zip").write_bytes(data[:length])
        with pytest.raises(MotionError, match=r"cut\.zip is damaged"):
            load_motion([tmp_path / "cut.zip"])
    broken = bytearray(data)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        start = archive.getinfo("flame_param/00004.npz").header_offset
    broken[start + 60 : start + 160] = bytes(100)
    (tmp_path / "broken.zip").write_bytes(broken)
    with pytest.raises(MotionError, match=r"00004\.npz in broken\.zip is damaged"):
        load_motion([tmp_path / "broken.zip"])
