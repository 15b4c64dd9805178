"""Fixtures that several kinds of tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.server_process import ServerProcess

# The same examples on every run: a red test is a fault, not bad luck.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One running server for all tests that leave it as it was; each takes a pool of its own."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process
