"""Whatever has happened to a file: numbers come out, or one sentence, and the process that reads it lives on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import safe_load
from pipeline.errors import UserError
from pipeline.safe_load import process
from tests.safe_load.damage import EDITS, SOUND, damaged

CASES = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _read(folder, content: bytes) -> None:
    path, target = folder / "clip.bin", folder / "out.npz"
    path.write_bytes(content)
    target.unlink(missing_ok=True)
    try:
        safe_load.convert(path, target)
    except UserError as error:
        sentence = str(error)
        assert "broke the process" not in sentence
        assert not sentence.startswith("This file stores Python objects") or "it asks for" in sentence
        assert not target.exists()
        return
    with np.load(target, allow_pickle=False) as arrays:
        assert all(arrays[key].dtype.kind in "biufU" for key in arrays.files)


@pytest.mark.parametrize("kind", SOUND)
def test_every_sound_file_is_read(tmp_path, kind):
    _read(tmp_path, SOUND[kind])
    assert (tmp_path / "out.npz").exists()


@CASES
@given(st.sampled_from(sorted(SOUND)), EDITS)
def test_a_damaged_file_never_breaks_the_process(tmp_path, kind, edits):
    _read(tmp_path, damaged(SOUND[kind], edits))


@CASES
@given(
    st.sampled_from([b"\x80\x02", b"\x80\x04", b"\x80\x05", SOUND["torch stream"][:14], SOUND["mat"][:128]]),
    st.binary(),
)
def test_random_bytes_behind_a_true_beginning(tmp_path, start, rest):
    _read(tmp_path, start + rest)


@pytest.mark.parametrize("kind", ["protocol 2", "protocol 5", "torch stream", "mat"])
def test_cut_at_any_place(tmp_path, kind):
    content = SOUND[kind]
    for end in range(1, len(content), max(1, len(content) // 100)):
        _read(tmp_path, content[:end])


def test_one_process_has_read_them_all(tmp_path):
    """None of these files ended it, except by the memory that it had taken."""
    _read(tmp_path, SOUND["mat"])
    first = process._uploads.pid
    for kind, content in SOUND.items():
        _read(tmp_path, damaged(content, [("flip", 0.4, 0, 3)]))
        assert process._uploads.pid == first, kind
