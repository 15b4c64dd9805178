"""Words and character n-grams of a text, in any script."""

import re
from collections.abc import Iterator

WORD = r"\b\w\w+\b"
"""A word has two characters at least."""
_WORD = re.compile(WORD)


def terms(text: str, least: int, most: int) -> Iterator[tuple[bool, str]]:
    """Splits a text into words, and into the n-grams of what stands between blanks.

    The words are those of scikit-learn's analyser `word`, the n-grams those of `char_wb`, which
    adds a blank before and after each piece. A script without blanks, such as Chinese, has words
    that never come back, but n-grams that do. The terms of a piece come together, so that a text
    that is read in part gives both sorts.

    Args:
        text: Any text; it is lower-cased.
        least: Characters of the shortest n-grams.
        most: Characters of the longest ones.

    Yields:
        Whether a term is a word, and the term.
    """
    for piece in text.lower().split():
        for word in _WORD.finditer(piece):
            yield True, word.group()
        for gram in _grams(f" {piece} ", least, most):
            yield False, gram


def _grams(piece: str, least: int, most: int) -> Iterator[str]:
    for size in range(least, most + 1):
        yield piece[:size]
        for start in range(1, len(piece) - size + 1):
            yield piece[start : start + size]
        if len(piece) <= size:
            return
