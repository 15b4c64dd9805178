"""Many requests in one transaction: into the log first, then into memory."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from scoring.errors import ScoringError
from scoring.memory.drafts import Draft
from scoring.memory.inbox import Delete, Learn, Record
from scoring.memory.log import Log
from scoring.memory.outcomes.values import OutcomeReceipt
from scoring.memory.pool import Pool
from scoring.memory.snapshots import Snapshots
from scoring.memory.validation import pool_not_found, too_many_pools
from scoring.memory.values import EmbeddingSpace, MemorySettings, Receipt

SWEEP = 1024
"""Most samples, and subjects of outcomes, of a pool that one sweep forgets."""

Answer: TypeAlias = tuple[Future[Any], Receipt | OutcomeReceipt | ScoringError]


def resolve(future: Future[Any], answer: object) -> None:
    """Gives a caller its result, or its error."""
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


@dataclass(frozen=True, slots=True)
class _Commit:
    """One transaction in the making."""

    cutoff: float
    """What is older (unix seconds) is past its time to live."""
    drafts: dict[str, Draft] = field(default_factory=dict)
    """What it adds, by pool."""


class Committer:
    """Writes requests into the log, many in one transaction, and then into memory."""

    def __init__(
        self,
        log: Log,
        pools: dict[str, Pool],
        snapshots: Snapshots,
        settings: MemorySettings,
        clock: Callable[[], float],
    ) -> None:
        self._log = log
        self._pools = pools
        self._snapshots = snapshots
        self._settings = settings
        self._clock = clock

    def add(self, requests: Sequence[Learn | Record]) -> None:
        """Adds samples and outcomes, in their order.

        Either all that are acceptable are durable and visible, or none is.
        """
        commit = _Commit(self._cutoff())
        with self._log.transaction():
            answers = [self._answer(request, commit) for request in requests]
            for draft in commit.drafts.values():
                draft.finish()
        for name, draft in commit.drafts.items():
            draft.publish()
            self._pools[name] = draft.pool
        for future, answer in answers:
            resolve(future, answer)

    def _answer(self, request: Learn | Record, commit: _Commit) -> Answer:
        try:
            if isinstance(request, Learn):
                return request.done, self._learn(request, commit)
            return request.done, self._record(request, commit)
        except ScoringError as error:
            return request.done, error

    def _learn(self, request: Learn, commit: _Commit) -> Receipt:
        sample, existed, revision = request.sample, False, 0
        expired = sample.learned_at < commit.cutoff
        draft = self._draft(request, commit, create=request.create, expired=expired)
        if draft is not None:
            existed = not expired and not draft.learn(sample)
            revision = draft.samples.next_seq
        return Receipt(sample.sample_id, self._settings.durability, existed, expired, revision)

    def _record(self, request: Record, commit: _Commit) -> OutcomeReceipt:
        outcome, existing = request.outcome, None
        create = request.create and outcome.prompt is not None
        expired = outcome.recorded_at < commit.cutoff
        draft = self._draft(request, commit, create=create, expired=expired)
        if draft is not None and not expired:
            existing = draft.outcomes.add(outcome)
        return OutcomeReceipt(
            outcome.outcome_id,
            existing or outcome.sample_id,
            self._settings.durability,
            existing is not None,
            expired,
        )

    def _draft(
        self, request: Learn | Record, commit: _Commit, *, create: bool, expired: bool
    ) -> Draft | None:
        """The draft of a request's pool; none where what has expired would be its first."""
        name, space = request.pool, request.space
        draft = commit.drafts.get(name)
        if draft is None:
            pool = self._pools.get(name)
            if pool is None:
                if space is None or not create:
                    raise pool_not_found(name)
                if expired:
                    return None
                pool = self._new_pool(name, space, commit)
            draft = commit.drafts[name] = Draft(pool, self._log, self._settings, commit.cutoff)
        if space is not None:
            draft.pool.require_space(space)
        return draft

    def _new_pool(self, name: str, space: EmbeddingSpace, commit: _Commit) -> Pool:
        if len(self._pools.keys() | commit.drafts.keys()) >= self._settings.max_pools:
            raise too_many_pools(self._settings.max_pools)
        return Pool(self._log.add_pool(name, space, self._clock()), self._settings)

    def _cutoff(self) -> float:
        lifetime = self._settings.time_to_live
        return -math.inf if lifetime is None else self._clock() - lifetime

    def delete(self, request: Delete) -> None:
        """Removes a pool from the log, from memory and from disk."""
        pool = self._pools.get(request.pool)
        if pool is None:
            resolve(request.done, pool_not_found(request.pool))
            return
        samples = pool.samples
        with self._log.transaction():
            self._log.drop_pool(pool.id)
        del self._pools[request.pool]
        self._snapshots.forget_pool(pool.id)
        resolve(request.done, samples)

    def expire(self) -> bool:
        """Forgets what is past its time to live; says whether there may be more."""
        if self._settings.time_to_live is None:
            return False
        cutoff = self._cutoff()
        pools = list(self._pools.values())
        samples = [(pool, pool.learned_before(cutoff)[:SWEEP]) for pool in pools]
        subjects = [(pool, pool.outcomes.recorded_before(cutoff)[:SWEEP]) for pool in pools]
        if not any(seqs for _, seqs in samples + subjects):
            return False
        with self._log.transaction():
            for pool, seqs in samples:
                self._log.drop_samples(pool.id, seqs)
            for pool, seqs in subjects:
                self._log.outcomes.drop(pool.id, seqs)
        for pool, seqs in samples:
            for seq in seqs:
                pool.forget(seq)
        for pool, seqs in subjects:
            for seq in seqs:
                pool.outcomes.forget(seq)
        return any(len(seqs) == SWEEP for _, seqs in samples + subjects)
