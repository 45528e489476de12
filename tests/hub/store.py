"""The repositories of the loopback Hub: folders on disk, and every state that they were ever seen in."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

KINDS = ("models", "datasets", "spaces")
MAIN = "main"
LFS_FROM = 1_000_000
"""Bytes from which on a text file is stored as a large file too; every binary file is, whatever its size."""


@dataclass(frozen=True)
class Blob:
    """One content."""

    sha256: str
    size: int
    git_oid: str
    """What git calls the content, or, of a large file, the pointer to it."""
    lfs: bool


@dataclass(frozen=True)
class Commit:
    """One state of a repository."""

    sha: str
    parent: str | None
    title: str
    files: dict[str, Blob]


@dataclass
class PullRequest:
    """An open pull request; its branch is ``refs/pr/<num>``."""

    num: int
    title: str
    author: str

    @property
    def branch(self) -> str:
        return f"refs/pr/{self.num}"


@dataclass
class Repository:
    """A repository with its history. ``private`` and ``gated`` decide who may read it; tests set them."""

    kind: str
    id: str
    folder: Path
    """What ``main`` looks like on disk: a test changes files there, and the next request sees a new commit."""
    private: bool = False
    gated: bool = False
    granted: set[str] = field(default_factory=set)
    """Users whom the owner let into a gated repository."""
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    """Name → sha of its last commit."""
    pull_requests: list[PullRequest] = field(default_factory=list)

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    def commit_at(self, revision: str) -> Commit | None:
        """The commit of a branch or of a sha."""
        return self.commits.get(self.branches.get(revision, revision))

    def commit(self, branch: str, title: str, files: dict[str, Blob]) -> Commit:
        """Record ``files`` as the next state of ``branch``."""
        parent = self.branches.get(branch)
        words = [self.kind, self.id, branch, parent or "", title]
        words += [f"{path}={blob.sha256}" for path, blob in sorted(files.items())]
        commit = Commit(hashlib.sha1("\n".join(words).encode()).hexdigest(), parent, title, dict(files))
        self.commits[commit.sha] = commit
        self.branches[branch] = commit.sha
        return commit


class Store:
    """All repositories below ``root``/{models,datasets,spaces}/<owner>/<name>/files."""

    def __init__(self, root: Path):
        self.root = root
        self.lock = threading.RLock()
        self._repositories: dict[tuple[str, str], Repository] = {}
        self._seen: dict[Path, tuple[tuple[int, int], Blob]] = {}
        self._contents = root / ".contents"
        self._contents.mkdir(parents=True, exist_ok=True)

    def repository(self, kind: str, repo_id: str) -> Repository | None:
        """The repository with what its folder holds now as the last commit of ``main``, or None where there is none."""
        folder = self.root / kind / repo_id / "files"
        with self.lock:
            if kind not in KINDS or repo_id.count("/") != 1 or not folder.is_dir():
                return None
            found = self._repositories.setdefault((kind, repo_id), Repository(kind, repo_id, folder))
            self._look(found)
            return found

    def create(self, kind: str, repo_id: str) -> Repository:
        """A new repository with nothing in it."""
        (self.root / kind / repo_id / "files").mkdir(parents=True)
        found = self.repository(kind, repo_id)
        assert found is not None
        return found

    def ids(self, kind: str) -> list[str]:
        """Every repository of a kind, by name."""
        return sorted(f"{files.parts[-3]}/{files.parts[-2]}" for files in (self.root / kind).glob("*/*/files"))

    def _look(self, repository: Repository) -> None:
        """A changed folder is a new commit of ``main``."""
        files = {
            str(path.relative_to(repository.folder)): self._blob_of(path)
            for path in sorted(repository.folder.rglob("*"))
            if path.is_file()
        }
        head = repository.commit_at(MAIN)
        if head is None or head.files != files:
            repository.commit(MAIN, "Changed on disk" if head else "initial commit", files)

    def _blob_of(self, path: Path) -> Blob:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._seen.get(path)
        if known is None or known[0] != stamp:
            known = (stamp, self.keep(path.read_bytes()))
            self._seen[path] = known
        return known[1]

    def keep(self, content: bytes) -> Blob:
        """Store a content for good."""
        sha256 = hashlib.sha256(content).hexdigest()
        place = self._contents / sha256
        if not place.exists():
            place.write_bytes(content)
        lfs = goes_to_lfs(content[:512], len(content))
        return Blob(sha256, len(content), _git_oid(_pointer(sha256, len(content)) if lfs else content), lfs)

    def content(self, sha256: str) -> Path | None:
        """Where a stored content lies, or None."""
        place = self._contents / sha256
        return place if place.is_file() else None

    def write(self, repository: Repository, branch: str, title: str, files: dict[str, Blob]) -> Commit:
        """Commit ``files`` to ``branch``; what becomes ``main`` also becomes the folder."""
        with self.lock:
            commit = repository.commit(branch, title, files)
            if branch == MAIN:
                self._check_out(repository, files)
            return commit

    def _check_out(self, repository: Repository, files: dict[str, Blob]) -> None:
        for path in sorted(repository.folder.rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif str(path.relative_to(repository.folder)) not in files:
                path.unlink()
        for name, blob in files.items():
            place = repository.folder / name
            content = (self._contents / blob.sha256).read_bytes()
            if not place.is_file() or place.read_bytes() != content:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)


def goes_to_lfs(sample: bytes, size: int) -> bool:
    """Whether the Hub stores such a file as a large one: binary, or long."""
    return size > 0 and (size >= LFS_FROM or b"\0" in sample or not _is_text(sample))


def _is_text(sample: bytes) -> bool:
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(sample) - 3  # a letter cut in two at the end of the sample
    return True


def _pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
