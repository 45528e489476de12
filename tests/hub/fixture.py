"""`huggingface_hub` in this process pointed at a loopback Hub, with nothing of the person who runs the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_api
from huggingface_hub.utils import close_session

from tests.hub.server import LoopbackHub, running_hub


@contextmanager
def hub_in_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub over ``folder``/hub, empty, that every function of `huggingface_hub` asks until the block ends.

    The library reads the environment once, at import: its constants are set here, and the environment too, for
    processes that a test starts. The cache is ``folder``/cache; there is no token until a test sets HF_TOKEN.
    """
    cache = folder / "cache"
    with running_hub(folder / "hub") as hub:
        changed = {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HOME": str(cache),
            "HF_HUB_CACHE": str(cache / "hub"),
            "HF_TOKEN_PATH": str(cache / "token"),
            "HF_STORED_TOKENS_PATH": str(cache / "stored_tokens"),
        }
        for name, value in changed.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(hf_api.api, "endpoint", hub.url)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_HOME", str(cache))
        close_session()
        try:
            yield hub
        finally:
            close_session()
