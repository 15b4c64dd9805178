"""Many requests in one transaction: into the log first, then into memory."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias

from scoring.errors import ScoringError, TooManyVotersError
from scoring.memory.inbox import Delete, Learn
from scoring.memory.log import Log, LogSample
from scoring.memory.pool import Pool
from scoring.memory.snapshots import Snapshots
from scoring.memory.validation import pool_not_found, too_many_pools
from scoring.memory.values import EmbeddingSpace, MemorySettings, Receipt

SWEEP = 1024
"""Most samples of a pool that one sweep forgets."""

Outcome: TypeAlias = tuple[Future[Any], Receipt | ScoringError]


def resolve(future: Future[Any], outcome: object) -> None:
    """Gives a caller its result, or its error."""
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


@dataclass(slots=True)
class Draft:
    """What a commit will do to one pool once it has succeeded."""

    pool: Pool
    voters: list[str]
    """Voters that the pool does not know yet."""
    samples: list[LogSample]

    @property
    def next_seq(self) -> int:
        """Number of the next sample."""
        return self.pool.next_seq + len(self.samples)

    def columns(self, voters: tuple[str, ...]) -> tuple[list[int], list[str]]:
        """Columns of a sample's voters, and those of them that are new."""
        known = {name: column for column, name in enumerate((*self.pool.voters, *self.voters))}
        fresh = [name for name in voters if name not in known]
        known |= {name: len(known) + place for place, name in enumerate(fresh)}
        return [known[name] for name in voters], fresh

    def publish(self) -> None:
        """Shows what was committed to the readers."""
        if self.voters:
            self.pool.widen(self.voters)
        for sample in self.samples:
            self.pool.admit(sample)


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

    def learn(self, requests: list[Learn]) -> None:
        """Adds samples. Either all that are acceptable are durable and visible, or none is."""
        drafts: dict[str, Draft] = {}
        with self._log.transaction():
            outcomes = [self._outcome(request, drafts) for request in requests]
            for draft in drafts.values():
                oldest = draft.next_seq - self._settings.capacity
                self._log.advance(draft.pool.id, draft.next_seq, oldest)
        for name, draft in drafts.items():
            draft.publish()
            self._pools[name] = draft.pool
        for future, outcome in outcomes:
            resolve(future, outcome)

    def _outcome(self, request: Learn, drafts: dict[str, Draft]) -> Outcome:
        try:
            return request.done, self._place(request, drafts)
        except ScoringError as error:
            return request.done, error

    def _place(self, request: Learn, drafts: dict[str, Draft]) -> Receipt:
        sample = request.sample
        draft = self._draft(request, drafts)
        columns, fresh = draft.columns(sample.voters)
        self._require_room(draft, fresh)
        row = LogSample(
            draft.next_seq,
            sample.sample_id,
            sample.learned_at,
            tuple(columns),
            sample.pairs,
            sample.prompt,
        )
        expired, existed = self._expired(sample.learned_at), False
        if not expired:
            existed = not self._log.add_sample(draft.pool.id, row)
            if not existed:
                self._extend(draft, row, fresh)
        return Receipt(
            sample.sample_id, self._settings.durability, existed, expired, draft.next_seq
        )

    def _draft(self, request: Learn, drafts: dict[str, Draft]) -> Draft:
        name, space = request.pool, request.space
        draft = drafts.get(name)
        if draft is None:
            pool = self._pools.get(name)
            if pool is None and not request.create:
                raise pool_not_found(name)
            draft = Draft(pool or self._new_pool(name, space, drafts), [], [])
            draft.pool.require_space(space)
            drafts[name] = draft
        draft.pool.require_space(space)
        return draft

    def _new_pool(self, name: str, space: EmbeddingSpace, drafts: dict[str, Draft]) -> Pool:
        if len(self._pools.keys() | drafts.keys()) >= self._settings.max_pools:
            raise too_many_pools(self._settings.max_pools)
        return Pool(self._log.add_pool(name, space, self._clock()), self._settings)

    def _require_room(self, draft: Draft, fresh: list[str]) -> None:
        known = len(draft.pool.voters) + len(draft.voters)
        if known + len(fresh) > self._settings.max_voters:
            raise TooManyVotersError(
                f"Pool {draft.pool.name} knows {known} voters and may know "
                f"{self._settings.max_voters}, so {', '.join(fresh)} can't join: raise max_voters, "
                "or use another pool.",
                field="voters",
            )

    def _expired(self, learned_at: float) -> bool:
        lifetime = self._settings.time_to_live
        return lifetime is not None and learned_at < self._clock() - lifetime

    def _extend(self, draft: Draft, row: LogSample, fresh: list[str]) -> None:
        for name in fresh:
            column = len(draft.pool.voters) + len(draft.voters)
            self._log.add_voter(draft.pool.id, column, name)
            draft.voters.append(name)
        draft.samples.append(row)

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
        """Forgets samples that are past their time to live; says whether there may be more."""
        if self._settings.time_to_live is None:
            return False
        cutoff = self._clock() - self._settings.time_to_live
        expired = [(pool, pool.learned_before(cutoff)[:SWEEP]) for pool in self._pools.values()]
        if not any(seqs for _, seqs in expired):
            return False
        with self._log.transaction():
            for pool, seqs in expired:
                self._log.drop_samples(pool.id, seqs)
        for pool, seqs in expired:
            for seq in seqs:
                pool.forget(seq)
        return any(len(seqs) == SWEEP for _, seqs in expired)
