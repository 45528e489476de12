"""The loopback Hub, asked by the real `huggingface_hub`: what the other tests rely on."""

import time
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session

from tests.hub.faults import Fault

LARGE = bytes(range(256)) * 400
"""100 kB that are no text."""


@pytest.fixture
def api(hub):
    """A client of the running Hub, whose user is ann."""
    return HfApi(endpoint=hub.url, token=hub.log_in("ann"))


def test_a_file_comes_whole_and_an_older_commit_stays_readable(hub):
    old = hub.write("datasets", "ann/heads", {"prompt.txt": b"a man", "000.zip": LARGE})
    new = hub.write("datasets", "ann/heads", {"prompt.txt": b"a woman", "000.zip": LARGE[::-1]})
    assert old != new
    for revision, prompt, zipped in ((old, b"a man", LARGE), (new, b"a woman", LARGE[::-1])):
        for name, content in (("prompt.txt", prompt), ("000.zip", zipped)):
            path = hf_hub_download("ann/heads", name, repo_type="dataset", revision=revision)
            assert Path(path).read_bytes() == content


def test_a_large_file_is_redirected_to_a_storage_of_another_origin(hub):
    commit = hub.write("models", "ann/head", {"model.safetensors": LARGE, "config.json": b"{}"})
    found = huggingface_hub.get_hf_file_metadata(f"{hub.url}/ann/head/resolve/main/model.safetensors")
    assert found.size == len(LARGE)
    assert found.commit_hash == commit
    assert len(found.etag) == 64
    assert found.location.startswith(hub.storage_url)
    small = huggingface_hub.get_hf_file_metadata(f"{hub.url}/ann/head/resolve/main/config.json")
    assert small.location.startswith(hub.url)
    assert len(small.etag) == 40


def test_listings_name_files_folders_and_large_files_over_several_pages(hub, api):
    hub.write("datasets", "ann/heads", {"a/b/c.txt": b"c", "a/d.bin": LARGE, "e.txt": b"e", "f.txt": b"f"})
    hub.page_size = 2
    listed = {entry.path: entry for entry in api.list_repo_tree("ann/heads", recursive=True, repo_type="dataset")}
    assert sorted(listed) == ["a", "a/b", "a/b/c.txt", "a/d.bin", "e.txt", "f.txt"]
    assert listed["a/d.bin"].lfs.size == len(LARGE)
    assert listed["e.txt"].lfs is None
    assert sorted(e.path for e in api.list_repo_tree("ann/heads", "a", repo_type="dataset")) == ["a/b", "a/d.bin"]
    assert api.list_repo_files("ann/heads", repo_type="dataset") == ["a/b/c.txt", "a/d.bin", "e.txt", "f.txt"]
    assert [found.id for found in api.list_datasets(author="ann")] == ["ann/heads"]
    assert list(api.list_datasets(author="ben")) == []
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree("ann/heads", "nothing", repo_type="dataset"))


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=10-19", 206, LARGE[10:20]),
        ("bytes=99990-", 206, LARGE[99990:]),
        ("bytes=-7", 206, LARGE[-7:]),
        (f"bytes={len(LARGE)}-", 416, None),
    ],
)
@pytest.mark.parametrize("name", ["large.bin", "small.txt"])
def test_ranges(hub, name, asked, status, content):
    text = LARGE.hex().encode()[: len(LARGE)]
    hub.write("datasets", "ann/heads", {"large.bin": LARGE, "small.txt": text})
    url = f"{hub.url}/datasets/ann/heads/resolve/main/{name}"
    answered = get_session().get(url, headers={"Range": asked})
    assert answered.status_code == status
    if content is not None:
        assert answered.content == (content if name == "large.bin" else _same_range(text, content))
        assert answered.headers["Content-Range"].endswith(f"/{len(LARGE)}")
    assert hub.asked(name)[-1].range == asked


def _same_range(text, content):
    start = LARGE.rindex(content) if len(content) == 7 or content == LARGE[99990:] else LARGE.index(content)
    return text[start : start + len(content)]


def test_what_is_not_there_is_told_by_its_kind(hub, api):
    hub.write("datasets", "ann/heads", {"a.txt": b"a"})
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info("ann/nothing")
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info("ann/heads", revision="0" * 40)
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("ann/heads", "b.txt", repo_type="dataset")


def test_private_and_gated_repositories_open_to_whom_they_should(hub, api):
    hub.write("datasets", "ann/heads", {"a.txt": b"a"})
    stranger = hub.log_in("ben")
    hub.repository("datasets", "ann/heads").private = True
    for token in (False, stranger):
        with pytest.raises(RepositoryNotFoundError):
            api.dataset_info("ann/heads", token=token)
    assert api.dataset_info("ann/heads").private

    hub.repository("datasets", "ann/heads").private = False
    hub.repository("datasets", "ann/heads").gated = True
    with pytest.raises(GatedRepoError):
        hf_hub_download("ann/heads", "a.txt", repo_type="dataset", token=stranger)
    hub.repository("datasets", "ann/heads").granted.add("ben")
    assert hf_hub_download("ann/heads", "a.txt", repo_type="dataset", token=stranger)


def test_a_renamed_repository_redirects(hub, api):
    hub.write("datasets", "ann/new", {"a.bin": LARGE})
    hub.moved["datasets", "ann/old"] = "ann/new"
    assert api.dataset_info("ann/old").id == "ann/new"
    assert Path(hf_hub_download("ann/old", "a.bin", repo_type="dataset")).read_bytes() == LARGE


def test_a_cut_connection_is_resumed_by_a_range(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # the library keeps whole chunks only
    hub.write("datasets", "ann/heads", {"000.zip": LARGE})
    hub.faults.append(Fault("*/000.zip", times=1, cut_after=40_000))
    path = hf_hub_download("ann/heads", "000.zip", repo_type="dataset")
    assert Path(path).read_bytes() == LARGE
    assert [line.range for line in hub.asked("/storage/", "GET")] == [None, "bytes=40000-"]


def test_wrong_bytes_are_as_many_as_there_should_be(hub):
    hub.write("datasets", "ann/heads", {"000.zip": LARGE, "a.txt": b"text"})
    hub.faults.append(Fault("*", wrong_bytes=True))
    for name, content in (("000.zip", LARGE), ("a.txt", b"text")):
        answered = get_session().get(f"{hub.url}/datasets/ann/heads/resolve/main/{name}").content
        assert len(answered) == len(content)
        assert answered != content


def test_a_server_without_ranges_sends_the_whole_file(hub):
    hub.write("datasets", "ann/heads", {"000.zip": LARGE})
    hub.faults.append(Fault("/storage/*", no_ranges=True))
    url = f"{hub.url}/datasets/ann/heads/resolve/main/000.zip"
    answered = get_session().get(url, headers={"Range": "bytes=5-6"})
    assert answered.status_code == 200
    assert answered.content == LARGE


@pytest.mark.parametrize(("status", "retry_after"), [(429, 1), (500, None), (503, 7)])
def test_a_told_status_comes_as_often_as_told(hub, api, status, retry_after):
    hub.write("datasets", "ann/heads", {"a.txt": b"a"})
    hub.faults.append(Fault("/api/datasets/*", times=1, status=status, retry_after=retry_after))
    with pytest.raises(HfHubHTTPError) as told:
        api.dataset_info("ann/heads")
    assert told.value.response.status_code == status
    assert told.value.response.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))
    assert api.dataset_info("ann/heads").id == "ann/heads"


def test_a_slow_server_keeps_its_client_waiting(hub):
    hub.write("datasets", "ann/heads", {"000.zip": LARGE})
    hub.faults.append(Fault("*/heads", times=1, wait=0.2))
    hub.faults.append(Fault("/storage/*", times=1, pace=500_000.0))
    start = time.monotonic()
    get_session().get(f"{hub.url}/api/datasets/ann/heads")
    assert time.monotonic() - start >= 0.2
    start = time.monotonic()
    get_session().get(f"{hub.url}/datasets/ann/heads/resolve/main/000.zip")
    assert time.monotonic() - start >= 0.9 * len(LARGE) / 500_000


def test_files_are_uploaded_small_and_large_and_come_back(hub, api, tmp_path):
    api.create_repo("ann/heads", repo_type="dataset")
    additions = [CommitOperationAdd("a/b.txt", b"text"), CommitOperationAdd("a/c.bin", LARGE)]
    additions.append(CommitOperationAdd("README.md", b"---\nlicense: mit\n---\n# Heads\n"))
    made = api.create_commit("ann/heads", additions, commit_message="Two files", repo_type="dataset")
    assert made.oid == api.dataset_info("ann/heads").sha
    folder = Path(snapshot_download("ann/heads", repo_type="dataset", local_dir=tmp_path / "back"))
    assert (folder / "a/c.bin").read_bytes() == LARGE
    assert (folder / "a/b.txt").read_bytes() == b"text"
    assert len(hub.asked("/upload/", "PUT")) == 1
    assert (hub.root / "datasets/ann/heads/files/a/c.bin").read_bytes() == LARGE


def test_a_second_commit_of_the_same_parent_is_refused(hub, api):
    parent = hub.write("datasets", "ann/heads", {"a.txt": b"a"})

    def push(content):
        added = [CommitOperationAdd("a.txt", content)]
        return api.create_commit("ann/heads", added, commit_message="Change", repo_type="dataset", parent_commit=parent)

    push(b"b")
    with pytest.raises(HfHubHTTPError) as told:
        push(b"c")
    assert told.value.response.status_code == 412


def test_a_pull_request_leaves_main_alone(hub, api):
    before = hub.write("datasets", "ann/heads", {"a.txt": b"a"})
    added = [CommitOperationAdd("b.bin", LARGE)]
    asking = hub.log_in("ben")
    made = api.create_commit(
        "ann/heads", added, commit_message="One more", repo_type="dataset", create_pr=True, token=asking
    )
    assert made.pr_num == 1
    assert made.pr_revision == "refs/pr/1"
    assert api.dataset_info("ann/heads").sha == before
    assert api.list_repo_files("ann/heads", repo_type="dataset", revision="refs/pr/1") == ["a.txt", "b.bin"]
    (found,) = api.get_repo_discussions("ann/heads", repo_type="dataset")
    assert (found.title, found.author, found.is_pull_request) == ("One more", "ben", True)


def test_only_a_token_with_the_right_may_write(hub, api):
    hub.write("datasets", "ann/heads", {"a.txt": b"a"})
    for token, status in (("hf_wrong", 401), (hub.log_in("ann", may_write=False), 403), (hub.log_in("ben"), 403)):
        with pytest.raises(HfHubHTTPError) as told:
            api.create_commit(
                "ann/heads",
                [CommitOperationAdd("a.txt", b"b")],
                commit_message="Not mine",
                repo_type="dataset",
                token=token,
            )
        assert told.value.response.status_code == status
    assert api.whoami()["name"] == "ann"
    with pytest.raises(HfHubHTTPError):
        api.create_repo("ben/heads", repo_type="dataset")
    assert str(api.create_repo("ann/heads", repo_type="dataset", exist_ok=True)).endswith("/datasets/ann/heads")
