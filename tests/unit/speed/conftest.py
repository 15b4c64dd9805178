"""What the tests of the benchmarks share."""

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def short_socket():
    """A path that a Unix socket may have, which pytest's folders are too long for."""
    with tempfile.TemporaryDirectory(prefix="pm-") as folder:
        yield Path(folder) / "s"
