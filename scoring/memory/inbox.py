"""What waits for the writer."""

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from scoring.errors import MemoryBusyError, MemoryStorageError
from scoring.memory.outcomes.values import NewOutcome, OutcomeReceipt
from scoring.memory.values import EmbeddingSpace, NewSample, Receipt

CLOSED = "The memory is closed: open it again to learn."


@dataclass(frozen=True, slots=True)
class Learn:
    """A sample to add."""

    pool: str
    space: EmbeddingSpace
    sample: NewSample
    create: bool = True
    done: Future[Receipt] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Record:
    """An outcome to add, under the name of its subject."""

    pool: str
    space: EmbeddingSpace | None
    outcome: NewOutcome
    create: bool = True
    done: Future[OutcomeReceipt] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Delete:
    """A pool to remove."""

    pool: str
    done: Future[int] = field(default_factory=Future)


Request = Learn | Record | Delete


class Inbox:
    """A bounded queue that is emptied many at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._requests: deque[Request] = deque()
        self._arrived = threading.Condition()
        self._refusal: str | None = None

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def finished(self) -> bool:
        """Closed, and everything in it was taken."""
        return self._refusal is not None and not self._requests

    def put(self, request: Request) -> None:
        """Queues a request.

        Raises:
            MemoryBusyError: The queue is full.
            MemoryStorageError: The queue is closed.
        """
        with self._arrived:
            if self._refusal is not None:
                raise MemoryStorageError(self._refusal)
            if len(self._requests) >= self._limit:
                raise MemoryBusyError(
                    f"{self._limit} samples and outcomes wait to be written already; try later."
                )
            self._requests.append(request)
            self._arrived.notify()

    def take(self, limit: int, patience: float | None) -> list[Request]:
        """The oldest requests, at most `limit`; waits up to `patience` seconds for the first.

        A deletion comes alone, so that what follows it finds the pool gone.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._requests or self._refusal is not None, patience)
            return self._cut(limit)

    def _cut(self, limit: int) -> list[Request]:
        taken: list[Request] = []
        while self._requests and len(taken) < limit:
            alone = isinstance(self._requests[0], Delete)
            if alone and taken:
                break
            taken.append(self._requests.popleft())
            if alone:
                break
        return taken

    def close(self, refusal: str = CLOSED) -> None:
        """Lets nothing more in; what is queued may still be taken."""
        with self._arrived:
            self._refusal = refusal
            self._arrived.notify_all()
