"""What can go wrong in the estimator core, as one tree of exceptions."""

from typing import ClassVar


class ScoringError(Exception):
    """Root of every error that `scoring` raises on purpose.

    The message is one sentence for a person: what is wrong and what to do.
    `field` names the argument at fault, where there is one.
    """

    reason: ClassVar[str] = "SCORING"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidArrayError(ScoringError):
    """An array has the wrong shape or type, or holds NaN or infinity."""

    reason = "INVALID_ARRAY"


class UnknownModelError(ScoringError):
    """A request, or its policy, names a model that is not among those to choose from."""

    reason = "UNKNOWN_MODEL"


class PolicyNeedsCostsError(ScoringError):
    """A policy weighs costs, and none of the models has one."""

    reason = "COSTS_UNKNOWN"


class NoCandidateError(ScoringError):
    """A request, or its policy, leaves no model to choose."""

    reason = "NO_CANDIDATE"


class RouterUnreadyError(ScoringError):
    """A router has nothing yet to score models with."""

    reason = "ROUTER_UNREADY"


class PoolNotFoundError(ScoringError):
    """No pool has this name."""

    reason = "POOL_NOT_FOUND"


class TooManyPoolsError(ScoringError):
    """The memory holds as many pools as it may."""

    reason = "TOO_MANY_POOLS"


class TooManyVotersError(ScoringError):
    """The pool knows as many voters, or models with outcomes, as it may."""

    reason = "TOO_MANY_VOTERS"


class SpaceMismatchError(ScoringError):
    """Vectors of one embedding space were offered to a pool, or a router, of another."""

    reason = "EMBEDDING_SPACE_MISMATCH"


class MemoryBusyError(ScoringError):
    """The memory's writer is behind and its queue is full."""

    reason = "MEMORY_BUSY"


class MemoryStorageError(ScoringError):
    """The durable log can't be read or written."""

    reason = "MEMORY_STORAGE"


class SampleNotFoundError(ScoringError):
    """The pool has neither a sample of this name nor outcomes of one."""

    reason = "SAMPLE_NOT_FOUND"
