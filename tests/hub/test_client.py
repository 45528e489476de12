"""Reading the Hub: listing, pinned downloads, resuming, and every way in which it can fail, over a real server."""

import asyncio
import errno
import json
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from pipeline.hub import incomplete, line
from pipeline.hub.client import ANONYMOUS, Hub
from pipeline.hub.errors import Cancelled, Damaged, HubError
from pipeline.hub.line import Deadlines
from pipeline.hub.listing import parse
from pipeline.hub.repositories import REPOSITORIES, Repository
from tests.hub.faults import Fault

HEADS = Repository("somebody/heads", "dataset", None, "CC0-1.0", "tests")
LARGE = np.random.default_rng(0).bytes(900_000)
FILES = {"a/large.bin": LARGE, "small.txt": b"a small file"}
QUICK = Deadlines(answer=0.8, silence=0.5)


@pytest.fixture
def reader(hub, tmp_path):
    """A reader with short deadlines and an empty cache, over one repository with a large and a small file."""
    hub.write("datasets", HEADS.id, FILES)
    return Hub(cache_dir=tmp_path / "read", deadlines=QUICK)


def ranges(hub, name):
    return [asked.range for asked in hub.asked("/storage/") if asked.path.endswith(name)]


def stored(reader):
    return list((reader.cache_dir / "incomplete").glob("*.part"))


def test_lists_the_files_with_sizes(hub, reader):
    listed = {file.path: file.size for file in reader.listing(HEADS).files}
    assert listed == {name: len(content) for name, content in FILES.items()}


@pytest.mark.parametrize("name", FILES)
def test_downloads_and_tells_the_bytes(hub, reader, name):
    told = []
    path = reader.download(HEADS, name, lambda done, total: told.append((done, total)))
    assert path.read_bytes() == FILES[name]
    assert told[0] == (0, len(FILES[name]))
    assert told[-1] == (len(FILES[name]),) * 2
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_reads_where_an_event_loop_is_running_as_in_a_notebook(hub, reader):
    """From a thread of its own: other tests may have left a loop in this one."""
    read = []

    async def cell():
        read.append(reader.download(HEADS, "small.txt").read_bytes())

    notebook = threading.Thread(target=lambda: asyncio.run(cell()))
    notebook.start()
    notebook.join()
    assert read == [FILES["small.txt"]]


def test_a_model_repository_is_read_as_well(hub, reader):
    hub.write("models", "somebody/weights", {"w.bin": LARGE})
    weights = Repository("somebody/weights", "model", None, "", "tests")
    assert reader.download(weights, "w.bin").read_bytes() == LARGE


def test_what_is_cached_is_used_without_a_request(hub, reader):
    reader.download(HEADS, "small.txt")
    hub.requests.clear()
    reader.download(HEADS, "small.txt")
    reader.listing(HEADS)
    assert hub.requests == []


def test_the_commit_first_seen_stays_the_one_that_is_used(hub, reader):
    first = reader.commit(HEADS)
    hub.write("datasets", HEADS.id, {"small.txt": b"changed since", "new.txt": b"new"})
    assert reader.download(HEADS, "small.txt").read_bytes() == FILES["small.txt"]
    assert reader.pins() == {HEADS.folder: first}
    assert "new.txt" not in [file.path for file in reader.listing(HEADS).files]
    assert reader.newest(HEADS).get("new.txt") is not None


def test_a_pinned_commit_is_asked_for_by_its_name(hub, reader):
    old = hub.commit("datasets", HEADS.id)
    hub.write("datasets", HEADS.id, {"small.txt": b"changed since"})
    pinned = Repository(HEADS.id, "dataset", old, "", "tests")
    assert reader.download(pinned, "small.txt").read_bytes() == FILES["small.txt"]
    assert all(old in asked.path for asked in hub.requests)
    assert reader.pins() == {}


def test_an_answer_about_another_commit_is_not_believed(hub, reader, monkeypatch):
    pinned = Repository(HEADS.id, "dataset", "0" * 40, "", "tests")
    monkeypatch.setattr(
        reader, "_description", lambda *_: f"{hub.url}/api/datasets/{HEADS.id}/revision/main?blobs=true"
    )
    with pytest.raises(HubError, match="cannot be understood"):
        reader.listing(pinned)


def test_goes_on_after_a_cut_from_where_it_stopped(hub, reader):
    hub.faults.append(Fault("/storage/*", times=1, cut_after=300_000))
    assert reader.download(HEADS, "a/large.bin").read_bytes() == LARGE
    assert ranges(hub, "large.bin") == [None, f"bytes=300000-{len(LARGE) - 1}"]


def test_goes_on_with_what_an_earlier_attempt_has_left(hub, reader, monkeypatch):
    monkeypatch.setattr(line, "RETRY_SECONDS", (0.01, 0.01))
    hub.faults.append(Fault("/storage/*", times=1, cut_after=300_000))
    hub.faults.append(Fault("/storage/*", cut_after=0))
    with pytest.raises(HubError, match=r"broke over somebody/heads; try again, it goes on from there"):
        reader.download(HEADS, "a/large.bin")
    hub.faults.clear()
    hub.requests.clear()
    assert Hub(cache_dir=reader.cache_dir).download(HEADS, "a/large.bin").read_bytes() == LARGE
    assert ranges(hub, "large.bin") == [f"bytes=300000-{len(LARGE) - 1}"]
    assert stored(reader) == []


def test_begins_again_where_the_server_ignores_where_to_go_on(hub, reader):
    hub.faults.append(Fault("/storage/*", times=1, cut_after=300_000))
    hub.faults.append(Fault("/storage/*", no_ranges=True))
    assert reader.download(HEADS, "a/large.bin").read_bytes() == LARGE


@pytest.mark.parametrize("name", FILES)
def test_wrong_bytes_are_deleted_and_told(hub, reader, name):
    hub.faults.append(Fault(f"*{name}", times=1, wrong_bytes=True))
    with pytest.raises(HubError, match=rf"{name} of somebody/heads came damaged"):
        reader.download(HEADS, name)
    assert stored(reader) == []
    assert reader.download(HEADS, name).read_bytes() == FILES[name]


def test_cancel_while_the_bytes_are_slow(hub, reader):
    hub.faults.append(Fault("/storage/*", pace=200_000))
    pressed = threading.Event()
    with pytest.raises(Cancelled):
        reader.download(HEADS, "a/large.bin", lambda done, total: done and pressed.set(), pressed.is_set)
    came = stored(reader)[0].stat().st_size
    hub.faults.clear()
    hub.requests.clear()
    reader.download(HEADS, "a/large.bin")
    assert ranges(hub, "large.bin") == [f"bytes={came}-{len(LARGE) - 1}"]


def test_cancel_while_the_server_says_nothing(hub, tmp_path):
    hub.write("datasets", HEADS.id, FILES)
    hub.faults.append(Fault("*", wait=30))
    patient = Hub(cache_dir=tmp_path / "read", deadlines=Deadlines(60, 60))
    with pytest.raises(Cancelled):
        patient.download(HEADS, "small.txt", cancel=lambda: len(hub.requests) > 0)


def test_silence_is_ended_by_the_deadline(hub, reader):
    hub.faults.append(Fault("/api/*", wait=30))
    with pytest.raises(HubError, match=r"did not answer in time about somebody/heads"):
        reader.listing(HEADS)


def test_silence_before_a_file_is_ended_by_the_deadline(hub, reader):
    hub.faults.append(Fault("*/resolve/*", wait=30))
    with pytest.raises(HubError, match=r"did not answer in time"):
        reader.download(HEADS, "small.txt")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("*", status=401), r"does not show somebody/heads to this login.*hf auth login"),
        (
            Fault("*", status=403, error_code="GatedRepo"),
            r"accept its licence; do so at https://huggingface.co/datasets/",
        ),
        (Fault("*", status=403), r"refuses somebody/heads"),
        (Fault("*", status=404, error_code="RepoNotFound"), r"no longer on the Hub under this name"),
        (Fault("*", status=404, error_code="RevisionNotFound"), r"no longer has the state that is used here"),
        (Fault("*", status=429, retry_after=40), r"ask for somebody/heads again in 40 s"),
        (Fault("*", status=418), r"refused to give somebody/heads \(status 418\)"),
        (Fault("*", status=500), r"fault of its own \(500\)"),
        (Fault("*", status=503), r"fault of its own \(503\)"),
    ],
)
def test_a_refusal_is_one_sentence_after_one_request(hub, reader, fault, told):
    hub.faults.append(fault)
    with pytest.raises(HubError, match=told) as refusal:
        reader.download(HEADS, "small.txt")
    assert len(hub.requests) == 1
    assert "\n" not in str(refusal.value)
    assert refusal.value.retry_after == fault.retry_after


def test_a_private_repository_needs_the_login(hub, reader, tmp_path):
    hub.repository("datasets", HEADS.id).private = True
    with pytest.raises(HubError, match="somebody/heads"):
        reader.download(HEADS, "small.txt")
    mine = Hub(token=hub.log_in("somebody"), cache_dir=tmp_path / "mine")
    assert mine.download(HEADS, "a/large.bin").read_bytes() == LARGE
    assert {asked.user for asked in hub.asked("/storage/")} == {None}  # the token stays with the Hub


def test_a_renamed_repository_is_followed(hub, reader):
    hub.write("datasets", "somebody/new-name", FILES)
    hub.moved["datasets", "somebody/old-name"] = "somebody/new-name"
    old = Repository("somebody/old-name", "dataset", None, "", "tests")
    assert reader.download(old, "a/large.bin").read_bytes() == LARGE


def test_a_file_that_is_not_there_is_told_without_a_request(hub, reader):
    reader.listing(HEADS)
    hub.requests.clear()
    with pytest.raises(HubError, match=r"has no file 'renamed.txt' at the state that is used here"):
        reader.download(HEADS, "renamed.txt")
    assert hub.requests == []


def test_a_file_that_is_gone_since_the_listing(hub, reader):
    reader.listing(HEADS)
    hub.faults.append(Fault("*/resolve/*", status=404, error_code="EntryNotFound"))
    with pytest.raises(HubError, match="a file of somebody/heads is gone or was renamed"):
        reader.download(HEADS, "small.txt")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "c:\\d", ""])
def test_a_name_that_leaves_the_cache_is_refused(hub, reader, name):
    with pytest.raises(HubError, match="is no name of a file"):
        reader.download(HEADS, name)


def test_offline_is_told_without_a_request(hub, reader, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE=1"):
        reader.download(HEADS, "small.txt")
    assert "HF_HUB_OFFLINE=1" in reader.reachable()
    assert hub.requests == []


def test_no_network_is_told(tmp_path, hub):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = Hub(f"http://127.0.0.1:{taken.getsockname()[1]}", cache_dir=tmp_path)
        with pytest.raises(HubError, match=r"cannot be reached for somebody/heads; check the network"):
            nobody.listing(HEADS)
        assert "cannot be reached" in nobody.reachable()


def test_reachable(hub, tmp_path):
    assert Hub(cache_dir=tmp_path).reachable() is None
    hub.faults.append(Fault("*", status=503))
    assert "fault of its own (503)" in Hub(cache_dir=tmp_path).reachable()


def test_a_small_file_is_read_and_not_kept(hub, reader):
    hub.faults.append(Fault("*/small.txt", times=1, cut_after=3))
    assert reader.read(HEADS, "small.txt", 100) == FILES["small.txt"]
    assert not (reader.cache_dir / "files").exists()


def test_a_small_file_is_checked(hub, reader):
    with pytest.raises(Damaged, match=r"has 900,000 bytes, more than the 100 allowed"):
        reader.read(HEADS, "a/large.bin", 100)
    hub.faults.append(Fault("*/small.txt", wrong_bytes=True))
    with pytest.raises(Damaged, match="checksum is wrong"):
        reader.read(HEADS, "small.txt", 100)


def test_a_login_that_is_no_longer_valid_is_told(hub, tmp_path):
    hub.write("datasets", HEADS.id, FILES)
    hub.faults.append(Fault("*", status=401, message="Invalid credentials in Authorization header"))
    with pytest.raises(HubError, match="no longer accepts this machine's login"):
        Hub(token="hf_old", cache_dir=tmp_path).listing(HEADS)


def test_a_stranger_sends_no_token(hub, tmp_path, monkeypatch):
    hub.write("datasets", HEADS.id, FILES)
    monkeypatch.setenv("HF_TOKEN", hub.log_in("somebody"))
    Hub(cache_dir=tmp_path / "known").listing(HEADS)
    Hub(token=ANONYMOUS, cache_dir=tmp_path / "unknown").listing(HEADS)
    assert [asked.user for asked in hub.requests] == ["somebody", None]


def test_too_little_room_is_told_before_anything_comes(hub, reader, monkeypatch):
    reader.listing(HEADS)
    hub.requests.clear()
    monkeypatch.setattr(incomplete, "DISK_MARGIN", 1 << 60)
    with pytest.raises(HubError, match=r"a/large.bin needs 0.9 MB more and .* free"):
        reader.download(HEADS, "a/large.bin")
    assert hub.requests == []


def test_a_disk_that_becomes_full_is_told_and_gets_its_room_back(hub, reader):
    def full(done, total):
        if done > 300_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(HubError, match=r"the disk became full while a/large.bin was coming"):
        reader.download(HEADS, "a/large.bin", full)
    assert stored(reader) == []


def test_two_at_once_bring_one_file_once(hub, reader):
    hub.faults.append(Fault("/storage/*", pace=2_000_000))
    got: list[Path] = []
    threads = [threading.Thread(target=lambda: got.append(reader.download(HEADS, "a/large.bin"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == LARGE for path in got] == [True] * 3
    assert len(ranges(hub, "large.bin")) == 1


def test_waiting_for_the_other_can_be_called_off(hub, reader):
    hub.faults.append(Fault("/storage/*", pace=200_000))
    stop = threading.Event()

    def first():
        with pytest.raises(Cancelled):
            reader.download(HEADS, "a/large.bin", cancel=stop.is_set)

    thread = threading.Thread(target=first)
    thread.start()
    while not hub.asked("/storage/"):
        time.sleep(0.01)
    with pytest.raises(Cancelled):
        reader.download(HEADS, "a/large.bin", cancel=lambda: True)
    stop.set()
    thread.join()


@pytest.mark.parametrize("kept", ["[]", "{", '{"dataset--somebody--heads": "main"}', '{"dataset--somebody--heads": 3}'])
def test_damaged_pins_are_made_again(hub, reader, kept):
    reader.cache_dir.mkdir(parents=True)
    (reader.cache_dir / "pins.json").write_text(kept)
    assert reader.commit(HEADS) == hub.commit("datasets", HEADS.id)


def test_the_table_pins_whole_commits_or_none():
    assert all(one.revision is None or len(bytes.fromhex(one.revision)) == 20 for one in REPOSITORIES)
    assert len({one.id for one in REPOSITORIES}) == len(REPOSITORIES)


def test_a_listing_with_names_that_leave_the_folder():
    names = ["../../etc/cron", "/root", "good/file", "a\\b", "x\0y", "c:/d", "./e"]
    answer = {"sha": "0" * 40, "siblings": [{"rfilename": name, "size": 1} for name in names]}
    assert [file.path for file in parse(answer).files] == ["good/file"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"sha": "main", "siblings": []},
        {"sha": "0" * 40},
        {"sha": "0" * 40, "siblings": [{"rfilename": "a"}]},
        {"sha": "0" * 40, "siblings": [{"rfilename": 3, "size": 3}]},
        {"sha": "0" * 40, "siblings": ["a"]},
    ],
)
def test_an_answer_that_cannot_be_understood(answer):
    with pytest.raises(ValueError, match=r"it |a file|has no size"):
        parse(json.loads(json.dumps(answer)))
