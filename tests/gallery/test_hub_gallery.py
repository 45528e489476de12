"""The galleries of the Hub over a real server: what is known, what a refresh asks for, what a click brings."""

import io
import zipfile
from dataclasses import replace

import pytest
from huggingface_hub import constants
from PIL import Image

from pipeline.errors import UserError
from pipeline.gallery.animportrait3d import AnimPortrait3DSource
from pipeline.gallery.hub_gallery import HubGallery, hub_galleries
from pipeline.gallery.portrait3d import Portrait3DSource
from pipeline.hub.client import Hub
from pipeline.hub.errors import HubError, NoParts
from pipeline.hub.line import Deadlines
from pipeline.hub.repositories import PORTRAIT3D_GALLERY
from tests.gallery.published import PROMPTS, publish_animportrait3d, publish_portrait3d
from tests.hub.faults import Fault


@pytest.fixture
def reader(hub, tmp_path):
    return Hub(cache_dir=tmp_path / "read", deadlines=Deadlines(2, 2))


@pytest.fixture
def rigged(hub, reader):
    publish_animportrait3d(hub)
    return HubGallery(AnimPortrait3DSource(), reader)


@pytest.fixture
def trigrids(hub, reader):
    source = Portrait3DSource()
    source.repository = replace(PORTRAIT3D_GALLERY, revision=publish_portrait3d(hub))
    return HubGallery(source, reader)


def colour(entry):
    with Image.open(entry.preview) as small:
        assert small.size == (320, 320)
        assert small.format == "WEBP"
        return small.convert("RGB").getpixel((300, 300))


def test_nothing_is_known_and_nothing_asked_before_a_refresh(hub, rigged):
    assert rigged.entries() == []
    assert hub.requests == []


def test_animportrait3d_heads_with_prompts_licence_and_first_view(rigged):
    rigged.refresh()
    entries = rigged.entries()
    assert {entry.id: entry.prompt for entry in entries} == {f"animportrait3d/{n}": p for n, p in PROMPTS.items()}
    assert {entry.licence for entry in entries} == {"research only"}
    assert all(entry.missing for entry in entries)  # no SMPL-X on this machine
    red, yellow = (colour(entry) for entry in entries)
    assert red[0] > 200 > 60 > red[1]
    assert min(yellow[:2]) > 200


def test_only_the_ends_of_the_zips_come_for_prompts(hub, rigged):
    rigged.refresh()
    brought = [asked for asked in hub.asked("/storage/") if asked.path.endswith(".zip")]
    assert brought
    assert all(asked.range for asked in brought)


def test_a_second_refresh_of_a_pinned_gallery_asks_nothing(hub, rigged, trigrids):
    for gallery in (rigged, trigrids):
        gallery.refresh()
        hub.requests.clear()
        gallery.refresh()
        gallery.entries()
        assert hub.requests == []


def test_another_process_knows_the_same(rigged, reader):
    rigged.refresh()
    assert HubGallery(AnimPortrait3DSource(), reader).entries() == rigged.entries()


def test_fetch_brings_the_zip_once(hub, rigged):
    rigged.refresh()
    told = []
    path = rigged.fetch("animportrait3d/000", lambda done, total: told.append((done, total)))
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["fitted_params.pkl", "point_cloud.ply", "prompt.txt"]
    assert told[-1] == (path.stat().st_size,) * 2
    hub.requests.clear()
    assert rigged.fetch("animportrait3d/000") == path
    assert hub.requests == []


@pytest.mark.parametrize("entry_id", ["animportrait3d/999", "portrait3d/000", "000", "", "animportrait3d/../000"])
def test_an_unknown_head_is_told(rigged, entry_id):
    rigged.refresh()
    with pytest.raises(UserError, match="there is no head"):
        rigged.fetch(entry_id)


def test_portrait3d_heads_of_every_shard(trigrids):
    trigrids.refresh()
    entries = trigrids.entries()
    assert {entry.id: entry.prompt for entry in entries} == {
        f"portrait3d/{head:03d}": f"head number {head:03d}" for head in range(4)
    }
    assert {entry.licence for entry in entries} == {"CC-BY-4.0"}
    assert all("Portrait3D's decoder" in entry.missing for entry in entries)
    assert all(colour(entry)[2] > 100 for entry in entries)


def test_one_trigrid_comes_without_the_rest_of_its_shard(hub, trigrids):
    trigrids.refresh()
    hub.requests.clear()
    path = trigrids.fetch("portrait3d/002")
    assert path.read_bytes().startswith(b"002")
    assert path.suffix == ".pth"
    bounds = [map(int, asked.range.removeprefix("bytes=").split("-")) for asked in hub.asked("/storage/")]
    assert sum(last - first + 1 for first, last in bounds) < 600_000  # of 800,000 in the shard
    hub.requests.clear()
    assert trigrids.fetch("portrait3d/002") == path
    assert hub.requests == []


def test_a_trigrid_goes_on_after_a_cut(hub, trigrids):
    trigrids.refresh()
    hub.requests.clear()
    hub.faults += [Fault("/storage/*", times=1), Fault("/storage/*", times=1, cut_after=100_000)]
    assert len(trigrids.fetch("portrait3d/000").read_bytes()) == 400_003
    starts = [int(asked.range.removeprefix("bytes=").split("-")[0]) for asked in hub.asked("/storage/")]
    assert starts[-1] - starts[-2] == 100_000


def test_damaged_bytes_of_a_member_are_told_and_come_again(hub, trigrids):
    trigrids.refresh()
    hub.faults += [Fault("/storage/*", times=1), Fault("/storage/*", times=1, wrong_bytes=True)]
    with pytest.raises(HubError, match="damaged"):
        trigrids.fetch("portrait3d/000")
    assert trigrids.fetch("portrait3d/000").stat().st_size == 400_003


def test_a_server_without_parts_needs_consent_for_the_whole(hub, trigrids):
    trigrids.refresh()
    hub.faults.append(Fault("/storage/*", no_ranges=True))
    with pytest.raises(NoParts, match=r"all of its 0.8 MB would have to come"):
        trigrids.fetch("portrait3d/000")
    assert trigrids.fetch("portrait3d/000", whole=True).read_bytes().startswith(b"000")
    assert trigrids.fetch("portrait3d/001").read_bytes().startswith(b"001")


def test_a_server_without_parts_shows_previews_without_prompts(hub, rigged):
    hub.faults.append(Fault("/storage/*.zip", no_ranges=True))
    rigged.refresh()
    assert [(entry.prompt, entry.preview is not None) for entry in rigged.entries()] == [("", True)] * 2


def test_a_cancelled_refresh_keeps_what_it_has_and_goes_on(hub, trigrids):
    trigrids.refresh(cancel=lambda: len(trigrids.entries()) == 1)
    assert len(trigrids.entries()) == 1
    hub.requests.clear()
    trigrids.refresh()
    assert len(trigrids.entries()) == 4
    assert not [asked for asked in hub.requests if asked.path.startswith("/api/")]


def test_a_fault_in_the_middle_keeps_what_it_has(hub, trigrids):
    hub.faults.append(Fault("*/001.zip", status=500))
    with pytest.raises(HubError, match="500"):
        trigrids.refresh()
    assert len(trigrids.entries()) == 2


def test_a_damaged_zip_does_not_hide_the_others(hub, rigged):
    hub.write("datasets", rigged.source.repository.id, {"000.zip": b"PK no zip at all" * 500})
    rigged.refresh()
    assert [entry.id for entry in rigged.entries()] == ["animportrait3d/001"]


def test_a_picture_that_is_none_is_left_out(hub, rigged):
    hub.write("datasets", rigged.source.repository.id, {"preview/000.png": b"<svg/>"})
    rigged.refresh()
    assert [entry.preview is None for entry in rigged.entries()] == [True, False]


def test_offline_shows_what_is_known_at_once(hub, rigged, monkeypatch):
    rigged.refresh()
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert len(rigged.entries()) == 2
    assert hub.requests == []


def test_offline_the_first_refresh_tells_why(rigged, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE=1"):
        rigged.refresh()


@pytest.mark.parametrize(
    "kept", ["", "[]", "{}", '{"version": 1, "commit": "x", "heads": [], "read": {}}', "[" * 99999]
)
def test_a_damaged_manifest_is_made_again(rigged, kept):
    rigged.refresh()
    (rigged.folder / "manifest.json").write_text(kept)
    assert rigged.entries() == []
    rigged.refresh()
    assert len(rigged.entries()) == 2


def test_galleries_of_the_operator(hub, reader, monkeypatch):
    monkeypatch.setenv("ANIMPORTRAIT3D_GALLERIES", "somebody/heads, other/heads ,somebody/heads")
    assert list(hub_galleries(reader)) == [
        "animportrait3d",
        "portrait3d",
        "dataset/somebody/heads",
        "dataset/other/heads",
    ]
    assert hub.requests == []


@pytest.mark.parametrize("named", ["heads", "a/b/c", "../x", "a/b;c/d", "https://huggingface.co/datasets/a/b"])
def test_a_gallery_that_is_no_dataset_is_told(monkeypatch, named):
    monkeypatch.setenv("ANIMPORTRAIT3D_GALLERIES", named)
    with pytest.raises(UserError, match="give datasets of the Hub as owner/name"):
        hub_galleries()


def test_thumbnails_are_swept_when_their_heads_are_gone(rigged):
    rigged.folder.mkdir(parents=True)
    stray = rigged.folder / "0123.webp"
    stray.write_bytes(io.BytesIO().getvalue())
    rigged.refresh()
    assert not stray.exists()
    assert len(list(rigged.folder.glob("*.webp"))) == 2
