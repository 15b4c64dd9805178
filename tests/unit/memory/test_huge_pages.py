"""Large memory is asked for in huge pages, wherever the system has them."""

import ctypes
import mmap
import re
from pathlib import Path

import pytest

from scoring.memory import huge_pages
from scoring.memory.huge_pages import LEAST_BYTES, ask_for_huge_pages
from scoring.memory.segment import Segment
from scoring.memory.values import HnswParameters


def are_to_be_had() -> bool:
    try:
        return "[never]" not in huge_pages._ENABLED.read_text(encoding="ascii")
    except OSError:
        return False


has_huge_pages = pytest.mark.skipif(
    not are_to_be_had(), reason="this system has no transparent huge pages, or wants none given"
)


def flags_at(address: int) -> set[str]:
    """What Linux says of the mapping at an address; "hg" means that huge pages are wanted."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            start, end = (int(each, 16) for each in bounds.groups())
            inside = start <= address < end
        elif inside and line.startswith("VmFlags:"):
            return set(line.split()[1:])
    raise AssertionError("nothing is mapped there")


@has_huge_pages
@pytest.mark.parametrize("wanted", [True, False])
def test_mappings_of_the_size_are_asked_for(wanted):
    size = 2 * LEAST_BYTES
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        before = flags_at(address)
        # Adjacent mappings may have become one.
        ask_for_huge_pages(size if wanted else size << 12)
        assert "hg" not in before
        assert ("hg" in flags_at(address)) is wanted


def test_little_memory_is_left_alone(monkeypatch):
    monkeypatch.setattr(huge_pages, "_private_mappings", lambda: pytest.fail("looked"))
    ask_for_huge_pages(LEAST_BYTES - 1)


def test_an_operator_who_wants_none_gets_none(monkeypatch, tmp_path):
    enabled = tmp_path / "enabled"
    enabled.write_text("always madvise [never]\n", encoding="ascii")
    monkeypatch.setattr(huge_pages, "_ENABLED", enabled)
    monkeypatch.setattr(huge_pages, "_private_mappings", lambda: pytest.fail("looked"))
    ask_for_huge_pages(LEAST_BYTES)


def test_a_system_that_tells_nothing_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(huge_pages, "_MAPPINGS", tmp_path / "absent")
    ask_for_huge_pages(LEAST_BYTES)


@pytest.mark.parametrize(("roomy", "asked"), [(True, [40_000 * 384 * 4]), (False, [])])
def test_a_graph_asks_when_it_has_room_for_many(monkeypatch, roomy, asked):
    sizes = []
    monkeypatch.setattr("scoring.memory.segment.ask_for_huge_pages", sizes.append)
    segment = Segment(384, 40_000, HnswParameters(), roomy=roomy)
    assert [size for size in sizes if size >= LEAST_BYTES] == asked
    segment.grow()
    segment.prefer_huge_pages()
    assert sizes[-1] >= 40_000 * 384 * 4
