"""Puts what a run measured into the page of measurements."""

from collections.abc import Sequence
from pathlib import Path

from evaluation.atomic import write_lines

BEGIN = "<!-- speed: begin -->"
END = "<!-- speed: end -->"


def replace_section(file: Path, lines: Sequence[str]) -> None:
    """Replaces what stands between the two marks of a page.

    Args:
        file: The page.
        lines: The new section, without line feeds.

    Raises:
        ValueError: The page has not each mark once, on a line of its own, in order.
        OSError: It can't be read or written.
    """
    page = file.read_text(encoding="utf-8").split("\n")
    begin, end = _place(file, page, BEGIN), _place(file, page, END)
    if end < begin:
        raise ValueError(f"{file} has {END} before {BEGIN}")
    whole = [*page[: begin + 1], "", *lines, "", *page[end:]]
    write_lines(file, ["\n".join(whole)])


def _place(file: Path, page: Sequence[str], mark: str) -> int:
    if page.count(mark) != 1:
        raise ValueError(f"{file} needs the line {mark} once")
    return page.index(mark)
