import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.texts import EncodedTexts
from evaluation.vector_cache import CachingEncoder
from tests.bag_of_words import BagOfWords

TEXTS = ["a b", "", "the cat", "以下哪一项", "half \ud800 pair", "a b"]


class Revised(BagOfWords):
    def __init__(self, revision="one", **options):
        super().__init__(**options)
        self.revision = revision


def segments(folder):
    return sorted(folder.glob("*/*.vectors"))


def test_a_second_run_encodes_nothing_and_gives_the_same_bits(tmp_path):
    first = CachingEncoder(Revised(reads=1), tmp_path)
    fresh = first.encode(TEXTS)
    assert (first.hits, first.misses) == (0, 6)
    other = Revised(reads=1)
    second = CachingEncoder(other, tmp_path)
    kept = second.encode(TEXTS[::-1])
    assert other.calls == []
    assert (second.hits, second.misses, second.dimension) == (6, 0, 16)
    np.testing.assert_array_equal(kept.vectors[::-1], fresh.vectors, strict=True)
    np.testing.assert_array_equal(kept.truncated[::-1], fresh.truncated, strict=True)
    assert fresh.truncated.any()
    assert not fresh.truncated.all()


def test_only_what_is_new_is_encoded(tmp_path):
    CachingEncoder(Revised(), tmp_path).encode(["a", "b"])
    inner = Revised()
    caching = CachingEncoder(inner, tmp_path)
    found = caching.encode(["c", "b", "d", "a"])
    assert inner.calls == ["c", "d"]
    np.testing.assert_array_equal(found.vectors, Revised().encode(["c", "b", "d", "a"]).vectors)
    assert caching.encode(["d"]).vectors.shape == (1, 16)
    assert inner.calls == ["c", "d"]


def test_another_encoder_has_vectors_of_its_own(tmp_path):
    CachingEncoder(Revised("one"), tmp_path).encode(["a"])
    other = Revised("../two")
    CachingEncoder(other, tmp_path).encode(["a"])
    assert other.calls == ["a"]
    assert len(segments(tmp_path)) == 2


def test_it_serves_a_data_set(tmp_path):
    plain = EncodedTexts(TEXTS, Revised(reads=1))
    for _ in range(2):
        cached = EncodedTexts(TEXTS, CachingEncoder(Revised(reads=1), tmp_path))
        np.testing.assert_array_equal(cached.of(TEXTS), plain.of(TEXTS))


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_is_ignored_and_written_anew(tmp_path_factory, place, bit, cut):
    folder = tmp_path_factory.mktemp("cache")
    CachingEncoder(Revised(), folder).encode(["a", "b"])
    (path,) = segments(folder)
    data = bytearray(path.read_bytes())
    at = int(place * len(data))
    data[at] ^= 1 << bit
    path.write_bytes(data[:at] if cut else data)
    inner = Revised()
    found = CachingEncoder(inner, folder).encode(["a", "b"])
    np.testing.assert_array_equal(found.vectors, Revised().encode(["a", "b"]).vectors)
    assert sorted(inner.calls) == ["a", "b"]
    again = Revised()
    CachingEncoder(again, folder).encode(["a", "b"])
    assert again.calls == []


def test_a_file_that_is_gone_is_none(tmp_path):
    CachingEncoder(Revised(), tmp_path).encode(["a"])
    inner = Revised()
    caching = CachingEncoder(inner, tmp_path)
    for path in segments(tmp_path):
        path.unlink()
    caching.encode(["a"])
    assert inner.calls == ["a"]


def test_bytes_are_bounded_and_the_longest_unused_goes(tmp_path):
    CachingEncoder(Revised(), tmp_path).encode(["a"])
    (path,) = segments(tmp_path)
    size = path.stat().st_size
    os.utime(path, (1, 1))
    CachingEncoder(Revised(), tmp_path).encode(["b"])
    (other,) = set(segments(tmp_path)) - {path}
    os.utime(other, (2, 2))
    CachingEncoder(Revised(), tmp_path).encode(["a"])  # used: now the younger one
    CachingEncoder(Revised(), tmp_path, most_bytes=2 * size).encode(["c"])
    assert path.exists()
    assert not other.exists()
    assert sum(each.stat().st_size for each in segments(tmp_path)) <= 2 * size


def test_what_is_larger_than_the_bound_is_not_kept(tmp_path):
    CachingEncoder(Revised(), tmp_path, most_bytes=10).encode(["a"])
    assert segments(tmp_path) == []


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_can_not_be_written_costs_nothing_but_time(tmp_path, place):
    (tmp_path / "file").touch()
    found = CachingEncoder(Revised(), tmp_path / place).encode(["a"])
    np.testing.assert_array_equal(found.vectors, Revised().encode(["a"]).vectors)


def test_no_text_and_no_left_over_is_kept(tmp_path):
    CachingEncoder(Revised(), tmp_path).encode(["confidential"])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == segments(tmp_path)
    assert not any(b"confidential" in path.read_bytes() for path in files)


PROCESS = """
import sys
from pathlib import Path
from evaluation.vector_cache import CachingEncoder
from tests.unit.evaluating.test_vector_cache import Revised
import numpy as np

caching = CachingEncoder(Revised(), Path(sys.argv[1]), most_bytes=3000)
for turn in range(40):
    texts = [f"text {number % 40}" for number in range(turn, turn + 9)]
    expected = Revised().encode(texts).vectors
    assert (caching.encode(texts).vectors == expected).all()
    caching = CachingEncoder(Revised(), Path(sys.argv[1]), most_bytes=3000)
"""


def test_two_processes_share_a_small_cache(tmp_path):
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error.decode()
