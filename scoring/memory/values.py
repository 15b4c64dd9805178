"""The values that go into the memory and come out of it."""

import enum
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Where the vectors of a pool live. A pool has one for ever."""

    id: str
    """Names the encoder, its weights and what it embedded."""
    dimension: int
    """Number of coordinates."""


class Durability(enum.Enum):
    """How far an acknowledged sample, or outcome, is safe."""

    PROCESS = "process"
    """Survives a crash or a kill of the process."""
    DEVICE = "device"
    """Survives a crash of the machine: flushed to the device before the receipt."""


@dataclass(frozen=True, slots=True)
class HnswParameters:
    """Shape of the neighbour graphs (Malkov and Yashunin, 2018, names of hnswlib)."""

    m: int = 16
    """Links per node and layer."""
    ef_construction: int = 128
    """Candidates kept while a node is inserted."""
    ef_search: int = 64
    """Candidates kept while a graph is searched; raised to k where k is greater."""


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """Everything that the memory can be told."""

    directory: Path
    """Holds the log and the saved graphs; one process at a time may open it."""
    capacity: int = 100_000
    """Latest samples that a pool keeps, and latest prompts with outcomes."""
    time_to_live: float | None = None
    """Seconds after which a sample is forgotten, and a prompt since its newest outcome; never if
    absent."""
    max_pools: int = 64
    """Most pools."""
    max_voters: int = 64
    """Most voters that a pool may ever know, and most models with outcomes."""
    durability: Durability = Durability.PROCESS
    """How far a sample is safe when its receipt is given."""
    queue: int = 4096
    """Samples and outcomes that may wait for the writer."""
    exact: int = 256
    """Samples up to which a pool has no graph, and is compared one by one."""
    segment_samples: int | None = None
    """Samples of one graph; as many as the capacity, 1024 or more, if absent. For tests, which
    see many small graphs in little time."""
    hnsw: HnswParameters = HnswParameters()
    """Shape of the graphs."""

    @property
    def segment_size(self) -> int:
        """Samples after which a graph is sealed and the next one begins."""
        return self.segment_samples or max(self.capacity, 1024)

    @property
    def backlog(self) -> int:
        """Samples outside the graphs above which the writer takes no new ones."""
        return 4 * self.exact


@dataclass(frozen=True, slots=True)
class NewSample:
    """One prompt's answers, as far as the memory keeps them: no text is in it."""

    sample_id: str
    """Names the sample within its pool; learning a name twice adds it once."""
    prompt: NDArray[np.float32]
    """Embedding of the prompt (d,)."""
    voters: tuple[str, ...]
    """Who answered: K distinct names."""
    pairs: NDArray[np.float32]
    """Mean squared distances between their answers (K(K-1)/2,): (0,1), (0,2), (1,2), ..."""
    learned_at: float
    """Unix seconds."""
    features: NDArray[np.float32] | None = None
    """What else was measured of the answers (K, F), columns as in `scoring.features`, NaN where
    one can't be told; absent where nothing was."""


@dataclass(frozen=True, slots=True)
class StoredSample(NewSample):
    """A sample as it lies in the log; it can be learned again as it is."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a learned sample."""

    sample_id: str
    """The caller's name of it."""
    durability: Durability
    """How far it is safe, unless it expired."""
    existed: bool
    """The pool had a sample of this name already; nothing was added."""
    expired: bool
    """It was past its time to live on arrival; nothing was added."""
    revision: int
    """Samples that the pool had ever taken once this one was in."""


@dataclass(frozen=True, slots=True)
class PoolDescription:
    """One pool, as an operator sees it."""

    name: str
    space: EmbeddingSpace
    samples: int
    """Live samples."""
    capacity: int
    revision: int
    """Samples it has ever taken."""
    voters: tuple[str, ...]
    """In order of first appearance."""
    created_at: float
    """Unix seconds."""
    oldest_at: float | None
    """When the oldest live sample was learned; absent where there is none."""
    newest_at: float | None
    """When the newest live sample was learned; absent where there is none."""
    outcomes: int
    """Live outcomes."""
