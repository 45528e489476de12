"""A small share of `tests.motion.fuzz_readers`, with dice that hypothesis throws."""

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.motion import load_motion
from tests.motion.fuzz_readers import ANY_FILE, KNOWN_FILES, SECONDS, Spoiler, outcome


@pytest.fixture(scope="module")
def spoiler(tmp_path_factory):
    return Spoiler(tmp_path_factory.mktemp("clips"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dice=st.randoms(use_true_random=False))
def test_spoilt_files_are_read_or_refused_with_a_sentence(spoiler, dice):
    with spoiler.spoilt(dice) as (paths, what):
        told = outcome(paths, seconds=20 * SECONDS)  # a busy machine is no fault
    assert not told, what


def test_whole_files_are_read(spoiler):
    formats = Counter(load_motion(paths).format for paths in spoiler.clips())
    assert len(formats) >= 20


@pytest.mark.parametrize("how", dict.fromkeys(how for known in (ANY_FILE, *KNOWN_FILES.values()) for how in known))
def test_spoiling_spoils(spoiler, how):
    """Each way changes some file of those it is for."""
    suffixes = [suffix for suffix, known in KNOWN_FILES.items() if how in known] or list(KNOWN_FILES)
    files = [path for paths in spoiler.clips() for path in paths if path.suffix in suffixes]
    assert any(how(path.read_bytes(), random.Random(k)) != path.read_bytes() for path in files for k in range(5))
