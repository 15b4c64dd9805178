import os
import stat

import pytest

from scoring.memory import Memory


def modes(directory):
    return {
        str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode)
        for path in directory.rglob("*")
    }


@pytest.fixture(params=[0o000, 0o022, 0o277])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_every_file_belongs_to_its_owner_alone(settings, learn, settle):
    with Memory.open(settings) as memory:
        learn(memory, range(40))
        settle(memory)
        found = modes(settings.directory)
        names = {"memory.sqlite3", "memory.sqlite3-wal", "memory.sqlite3-shm", "memory.lock"}
        assert found.keys() > names
        assert "segments/1-samples-0-15.hnsw" in found
        assert {mode for name, mode in found.items() if name != "segments"} == {0o600}
        assert found["segments"] == 0o700
    assert stat.S_IMODE(settings.directory.stat().st_mode) == 0o700
    assert {mode for name, mode in modes(settings.directory).items() if name != "segments"} == {
        0o600
    }


def test_a_directory_of_somebody_else_keeps_its_mode_and_its_files_are_safe(
    settings, learn, settle
):
    settings.directory.mkdir()
    settings.directory.chmod(0o755)
    before = os.umask(0)
    try:
        with Memory.open(settings) as memory:
            learn(memory, range(40))
            settle(memory)
            found = modes(settings.directory)
    finally:
        os.umask(before)
    assert stat.S_IMODE(settings.directory.stat().st_mode) == 0o755
    assert found.pop("segments") == 0o700
    assert set(found.values()) == {0o600}


def test_modes_that_an_operator_has_set_stay(settings, learn):
    with Memory.open(settings) as memory:
        learn(memory, range(3))
    database = settings.directory / "memory.sqlite3"
    database.chmod(0o640)
    with Memory.open(settings) as memory:
        learn(memory, range(3, 6))
        assert stat.S_IMODE(database.stat().st_mode) == 0o640
