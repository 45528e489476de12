"""Zips on the Hub, read in place: which bytes are asked for, and what a hostile zip cannot do."""

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.hub.client import Hub
from pipeline.hub.errors import Damaged, HubError
from pipeline.hub.remote_zip import RemoteFile, RemoteZip
from pipeline.hub.repositories import Repository

NOISE = np.random.default_rng(0)
MEMBERS = {"a/first.bin": NOISE.bytes(700_000), "a/prompt.txt": b"a queen", "b/second.bin": b"zero" * 200_000}


class Counted:
    """Bytes in memory that are read by ranges, as a server gives them."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def read(self, start: int, size: int) -> bytes:
        self.asked.append((start, size))
        return self.content[start : start + size]

    def zip(self) -> RemoteZip:
        return RemoteZip(RemoteFile(len(self.content), self.read), "heads.zip")


def packed(members, compression=zipfile.ZIP_STORED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def test_the_table_of_contents_and_one_member_take_two_requests():
    server = Counted(packed(MEMBERS))
    archive = server.zip()
    assert archive.names() == list(MEMBERS)
    assert archive.read("a/prompt.txt", 1000) == b"a queen"
    assert len(server.asked) == 2
    assert sum(size for _, size in server.asked) < 70_000


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_every_member_is_read(compression):
    archive = Counted(packed(MEMBERS, compression)).zip()
    assert {name: archive.read(name, 1 << 20) for name in archive.names()} == MEMBERS


def test_a_span_on_disk_is_unpacked_without_a_request(tmp_path):
    server = Counted(packed(MEMBERS, zipfile.ZIP_DEFLATED))
    archive = server.zip()
    span = archive.span("a/first.bin")
    (tmp_path / "part").write_bytes(server.content[span.start : span.start + span.size])
    server.asked.clear()
    archive.unpack("a/first.bin", tmp_path / "first.bin", tmp_path / "part")
    assert (tmp_path / "first.bin").read_bytes() == MEMBERS["a/first.bin"]
    assert server.asked == []


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3000)), max_size=8))
def test_reads_as_a_file_in_memory_does(moves):
    content = NOISE.bytes(4000)
    remote, local = RemoteFile(4000, lambda start, size: content[start : start + size]), io.BytesIO(content)
    for position, size in moves:
        assert remote.seek(position) == local.seek(position)
        assert remote.read(size) == local.read(size)
    assert remote.read() == local.read()


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/passwd", "a/../../b", "c:\\autoexec.bat", "a\\..\\b"])
def test_a_name_that_leaves_the_folder_is_refused(name):
    content = packed({"x" * len(name): b"evil"}).replace(b"x" * len(name), name.encode())
    with pytest.raises(Damaged, match="which no honest zip has"):
        Counted(content).zip()


def test_a_bomb_is_refused_before_it_is_unpacked():
    archive = Counted(packed({"bomb": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED)).zip()
    with pytest.raises(Damaged, match=r"bomb in heads.zip has 50,000,000 bytes, more than the 1,000 allowed"):
        archive.read("bomb", 1000)


def test_a_size_that_lies_yields_no_more_than_it_says():
    content = packed({"bomb": b"\0" * 5_000_000}, zipfile.ZIP_DEFLATED)
    lying = content.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 900))
    with pytest.raises(Damaged, match="damaged"):
        Counted(lying).zip().read("bomb", 10_000)


def test_too_many_members_are_refused():
    with pytest.raises(Damaged, match="more than 10000 members"):
        Counted(packed({str(number): b"" for number in range(10_001)})).zip()


def test_an_enormous_table_of_contents_is_not_asked_for():
    """Its size and place come from the last 22 bytes, which the sender chooses."""
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 100 << 20, 0, 0)
    server = Counted(b"")
    remote = RemoteFile((100 << 20) + len(end), lambda start, size: end[-size:] if size <= 22 else b"\0" * size)
    with pytest.raises(Damaged, match="is no zip that can be read"):
        RemoteZip(remote, "heads.zip")
    assert server.asked == []


def test_a_locked_member_is_told():
    content = bytearray(packed({"secret": b"hidden"}))
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1
    with pytest.raises(Damaged, match="locked with a password"):
        Counted(bytes(content)).zip().read("secret", 1000)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 97])
def test_a_method_whose_bombs_cannot_be_bounded_is_refused(method):
    content = bytearray(packed({"odd": b"hidden"}))
    for signature, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        content[content.index(signature) + place] = method
    with pytest.raises(Damaged, match=f"odd in heads\\.zip is packed by method {method}"):
        Counted(bytes(content)).zip().read("odd", 1000)


@given(st.data())
def test_damage_anywhere_is_told_or_harmless(data):
    content = bytearray(packed({"a.txt": b"some words", "b.txt": b"more words" * 30}, zipfile.ZIP_DEFLATED))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        archive = Counted(bytes(content)).zip()
        read = {name: archive.read(name, 10_000) for name in archive.names()}
    except Damaged:
        return
    assert set(read.values()) <= {b"some words", b"more words" * 30}


def test_a_truncated_zip_is_told():
    with pytest.raises(Damaged, match="is no zip"):
        Counted(packed(MEMBERS)[:-30]).zip()


def test_a_member_that_is_not_there(hub, tmp_path):
    hub.write("datasets", "somebody/zips", {"a.zip": packed(MEMBERS)})
    reader = Hub(cache_dir=tmp_path / "read")
    repository = Repository("somebody/zips", "dataset", None, "", "tests")
    with pytest.raises(HubError, match="has no member 'other'"):
        reader.download_member(repository, "a.zip", "other", 1 << 20)
    assert not list((tmp_path / "read" / "files").rglob("*other*"))
