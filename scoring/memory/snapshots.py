"""Graphs on disk, so that a restart need not build them again."""

import logging
import sqlite3

from scoring.errors import MemoryStorageError
from scoring.memory.files import make_directory, make_file
from scoring.memory.log import Log, SegmentRecord
from scoring.memory.segment import Segment, checksum
from scoring.memory.values import MemorySettings

_logger = logging.getLogger(__name__)


class Snapshots:
    """Saves graphs beside the log, and trusts only files that the log vouches for.

    A file is written under another name, renamed, and then entered in the log
    with its checksum. Whatever a crash leaves in between is an orphan, removed
    at the next start; its samples are in the log, and the graph is built anew.
    """

    def __init__(self, log: Log, settings: MemorySettings) -> None:
        self._log = log
        self._settings = settings
        self._directory = settings.directory / "segments"
        make_directory(self._directory)

    def save(self, pool: int, segment: Segment) -> bool:
        """Saves a graph; says whether it worked. A failure costs time at restart, nothing else."""
        # Tried once: a full disk is not asked again for every sample that comes.
        segment.saved_last = segment.last
        try:
            self._save(pool, segment)
        except (OSError, sqlite3.Error, MemoryStorageError) as error:
            _logger.warning("A neighbour graph could not be saved: %s", error)
            return False
        return True

    def _save(self, pool: int, segment: Segment) -> None:
        name = f"{pool}-{segment.first}-{segment.last}.hnsw"
        unfinished = self._directory / f"{name}.unfinished"
        make_file(unfinished)
        sha256 = segment.save(unfinished)
        unfinished.replace(self._directory / name)
        record = SegmentRecord(
            segment.first,
            segment.last,
            segment.full,
            name,
            sha256,
            self._parameters(segment.dimension),
            segment.twins(),
        )
        stale = self._files(pool, segment.first)
        with self._log.transaction():
            self._log.put_segment(pool, record)
        self._unlink(stale - {name})

    def load(self, pool: int, dimension: int, record: SegmentRecord) -> Segment | None:
        """Reads a saved graph; nothing where its file or its parameters are not what they were."""
        path = self._directory / record.file
        try:
            if record.parameters != self._parameters(dimension) or checksum(path) != record.sha256:
                return None
            segment = Segment.load(
                path, dimension, self._settings.segment_size, self._settings.hnsw, record.twins
            )
        except (OSError, RuntimeError) as error:
            _logger.warning("Graph %s of pool %d is built anew: %s", record.file, pool, error)
            return None
        segment.sealed = record.sealed
        return segment

    def forget(self, pool: int, first: int) -> None:
        """Removes the saved graph that begins with this sample, if there is one."""
        stale = self._files(pool, first)
        try:
            with self._log.transaction():
                self._log.drop_segment(pool, first)
        except sqlite3.Error as error:
            _logger.warning("A neighbour graph could not be removed: %s", error)
        else:
            self._unlink(stale)

    def forget_pool(self, pool: int) -> None:
        """Removes the files of a pool that the log no longer has."""
        self._unlink({path.name for path in self._directory.glob(f"{pool}-*")})

    def sweep(self) -> None:
        """Removes every file that the log does not vouch for."""
        known = {
            record.file for pool in self._log.pools() for record in self._log.segments(pool.id)
        }
        self._unlink({path.name for path in self._directory.iterdir()} - known)

    def _files(self, pool: int, first: int) -> set[str]:
        return {record.file for record in self._log.segments(pool) if record.first == first}

    def _unlink(self, names: set[str]) -> None:
        for name in names:
            try:
                (self._directory / name).unlink(missing_ok=True)
            except OSError as error:
                _logger.warning("%s could not be removed: %s", name, error)

    def _parameters(self, dimension: int) -> str:
        hnsw = self._settings.hnsw
        return f"l2 dimension={dimension} m={hnsw.m} ef_construction={hnsw.ef_construction}"
