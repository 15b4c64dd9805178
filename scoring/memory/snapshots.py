"""Graphs on disk, so that a restart need not build them again."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from scoring.errors import MemoryStorageError
from scoring.memory.files import make_directory, make_file
from scoring.memory.graph_log import Collection, SegmentRecord
from scoring.memory.log import Log
from scoring.memory.segment import Segment, checksum
from scoring.memory.values import MemorySettings

_logger = logging.getLogger(__name__)


class Snapshots:
    """Saves graphs beside the log, and trusts only files that the log vouches for.

    A file is written under another name, renamed, and then entered in the log
    with its checksum. A save that fails removes what it wrote. Whatever a crash
    leaves in between is an orphan, removed at the next start; its samples are in
    the log, and the graph is built anew.
    """

    def __init__(self, log: Log, settings: MemorySettings) -> None:
        self._log = log
        self._settings = settings
        self._directory = settings.directory / "segments"
        make_directory(self._directory)

    def save(self, vectors: Collection, segment: Segment) -> bool:
        """Saves a graph; says whether it worked. A failure costs time at restart, nothing else."""
        # Tried once: a full disk is not asked again for every sample that comes.
        segment.saved_last = segment.last
        try:
            self._save(vectors, segment)
        except (OSError, sqlite3.Error, MemoryStorageError) as error:
            _logger.warning("A neighbour graph could not be saved: %s", error)
            return False
        return True

    def _save(self, vectors: Collection, segment: Segment) -> None:
        name = f"{vectors.pool}-{vectors.table}-{segment.first}-{segment.last}.hnsw"
        unfinished = self._directory / f"{name}.unfinished"
        with self._removed_on_failure(unfinished.name):
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
        with self._removed_on_failure(name):
            stale = self._files(vectors, segment.first)
            with self._log.transaction():
                self._log.graphs.put_segment(vectors, record)
        self._unlink(stale - {name})

    @contextmanager
    def _removed_on_failure(self, name: str) -> Iterator[None]:
        """Removes a file if what is done inside fails: it is large, and the disk may be full."""
        try:
            yield
        except BaseException:
            self._unlink({name})
            raise

    def load(self, vectors: Collection, record: SegmentRecord) -> Segment | None:
        """Reads a saved graph; nothing where its file or its parameters are not what they were."""
        path = self._directory / record.file
        try:
            if (
                record.parameters != self._parameters(vectors.dimension)
                or checksum(path) != record.sha256
            ):
                return None
            segment = Segment.load(
                path,
                vectors.dimension,
                self._settings.segment_size,
                self._settings.hnsw,
                record.twins,
                last=record.last,
            )
        except (OSError, RuntimeError) as error:
            _logger.warning("Graph %s is built anew: %s", record.file, error)
            return None
        segment.sealed = record.sealed
        return segment

    def forget(self, vectors: Collection, first: int) -> None:
        """Removes the saved graph that begins with this vector, if there is one."""
        try:
            stale = self._files(vectors, first)
            with self._log.transaction():
                self._log.graphs.drop_segment(vectors, first)
        except sqlite3.Error as error:
            _logger.warning("A neighbour graph could not be removed: %s", error)
        else:
            self._unlink(stale)

    def forget_pool(self, pool: int) -> None:
        """Removes the files of a pool that the log no longer has."""
        self._unlink({path.name for path in self._directory.glob(f"{pool}-*")})

    def sweep(self) -> None:
        """Removes every file that the log does not vouch for."""
        found = {path.name for path in self._directory.iterdir()}
        self._unlink(found - self._log.graphs.files())

    def _files(self, vectors: Collection, first: int) -> set[str]:
        records = self._log.graphs.segments(vectors)
        return {record.file for record in records if record.first == first}

    def _unlink(self, names: set[str]) -> None:
        for name in names:
            try:
                (self._directory / name).unlink(missing_ok=True)
            except OSError as error:
                _logger.warning("%s could not be removed: %s", name, error)

    def _parameters(self, dimension: int) -> str:
        hnsw = self._settings.hnsw
        return f"l2 dimension={dimension} m={hnsw.m} ef_construction={hnsw.ef_construction}"
