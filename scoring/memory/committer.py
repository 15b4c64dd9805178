"""Many requests in one transaction: into the log first, then into memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
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
        drafts: dict[str, Draft] = {}
        with self._log.transaction():
            answers = [self._answer(request, drafts) for request in requests]
            for draft in drafts.values():
                draft.finish()
        for name, draft in drafts.items():
            draft.publish()
            self._pools[name] = draft.pool
        for future, answer in answers:
            resolve(future, answer)

    def _answer(self, request: Learn | Record, drafts: dict[str, Draft]) -> Answer:
        try:
            if isinstance(request, Learn):
                return request.done, self._learn(request, drafts)
            return request.done, self._record(request, drafts)
        except ScoringError as error:
            return request.done, error

    def _learn(self, request: Learn, drafts: dict[str, Draft]) -> Receipt:
        sample = request.sample
        draft = self._draft(request.pool, request.space, drafts, create=request.create)
        expired = self._expired(sample.learned_at)
        existed = not expired and not draft.learn(sample)
        return Receipt(
            sample.sample_id, self._settings.durability, existed, expired, draft.samples.next_seq
        )

    def _record(self, request: Record, drafts: dict[str, Draft]) -> OutcomeReceipt:
        outcome = request.outcome
        create = request.create and outcome.prompt is not None
        draft = self._draft(request.pool, request.space, drafts, create=create)
        expired, existing = self._expired(outcome.recorded_at), None
        if not expired:
            existing = draft.outcomes.add(outcome)
        return OutcomeReceipt(
            outcome.outcome_id,
            existing or outcome.sample_id,
            self._settings.durability,
            existing is not None,
            expired,
        )

    def _draft(
        self, name: str, space: EmbeddingSpace | None, drafts: dict[str, Draft], *, create: bool
    ) -> Draft:
        draft = drafts.get(name)
        if draft is None:
            pool = self._pools.get(name)
            if pool is None:
                if space is None or not create:
                    raise pool_not_found(name)
                pool = self._new_pool(name, space, drafts)
            draft = drafts[name] = Draft(pool, self._log, self._settings)
        if space is not None:
            draft.pool.require_space(space)
        return draft

    def _new_pool(self, name: str, space: EmbeddingSpace, drafts: dict[str, Draft]) -> Pool:
        if len(self._pools.keys() | drafts.keys()) >= self._settings.max_pools:
            raise too_many_pools(self._settings.max_pools)
        return Pool(self._log.add_pool(name, space, self._clock()), self._settings)

    def _expired(self, time: float) -> bool:
        lifetime = self._settings.time_to_live
        return lifetime is not None and time < self._clock() - lifetime

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
        cutoff = self._clock() - self._settings.time_to_live
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
