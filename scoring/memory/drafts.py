"""What a commit will do to one pool once it has succeeded."""

from collections.abc import Sequence

from scoring.errors import SampleNotFoundError, TooManyVotersError
from scoring.memory.log import Log, LogSample
from scoring.memory.outcomes.log import LogOutcome
from scoring.memory.outcomes.values import NewOutcome
from scoring.memory.pool import Pool
from scoring.memory.values import MemorySettings, NewSample


class Columns:
    """Columns of a pool's voters, or models: those it has, and those that a commit adds."""

    def __init__(
        self, pool: str, known: Sequence[str], limit: int, *, kind: str, field: str
    ) -> None:
        self._pool = pool
        self._known = {name: column for column, name in enumerate(known)}
        self._limit = limit
        self._kind = kind
        self._field = field
        self.fresh: list[str] = []
        """Names that the commit adds."""

    def of(self, names: Sequence[str]) -> tuple[int, ...]:
        """Columns of some distinct names, as they will be when the unknown ones are added.

        Raises:
            TooManyVotersError: There is no room for them.
        """
        strangers = [name for name in names if name not in self._known]
        known = len(self._known)
        if strangers and known + len(strangers) > self._limit:
            raise TooManyVotersError(
                f"Pool {self._pool} knows {known} {self._kind} and may know {self._limit}, so "
                f"{', '.join(strangers)} can't join: raise max_voters, the most {self._kind} of a "
                "pool, or use another pool.",
                field=self._field,
            )
        columns = self._known | {name: known + place for place, name in enumerate(strangers)}
        return tuple(columns[name] for name in names)

    def add(self, names: Sequence[str]) -> list[tuple[int, str]]:
        """Adds the unknown among some names, and returns them with their columns."""
        strangers = [name for name in names if name not in self._known]
        added = list(enumerate(strangers, len(self._known)))
        self._known |= {name: column for column, name in added}
        self.fresh += [name for _, name in added]
        return added


class SampleDraft:
    """Samples that are in the log and on their way into a pool."""

    def __init__(self, pool: Pool, log: Log, settings: MemorySettings) -> None:
        self._pool = pool
        self._log = log
        self._capacity = settings.capacity
        self._voters = Columns(
            pool.name, pool.voters, settings.max_voters, kind="voters", field="voters"
        )
        self._rows: list[LogSample] = []

    @property
    def next_seq(self) -> int:
        """Number of the next sample."""
        return self._pool.next_seq + len(self._rows)

    @property
    def oldest(self) -> int:
        """Number of the oldest sample that is not evicted."""
        return self.next_seq - self._capacity

    def add(self, sample: NewSample) -> bool:
        """Adds a sample to the log; does nothing and says no where its name exists.

        Raises:
            TooManyVotersError: The pool has no room for its voters.
        """
        row = LogSample(
            self.next_seq,
            sample.sample_id,
            sample.learned_at,
            self._voters.of(sample.voters),
            sample.pairs,
            sample.prompt,
        )
        if not self._log.add_sample(self._pool.id, row):
            return False
        for column, name in self._voters.add(sample.voters):
            self._log.add_voter(self._pool.id, column, name)
        self._rows.append(row)
        return True

    def finish(self) -> None:
        """Writes down how far the numbers have come, and drops what is evicted."""
        if self._rows:
            self._log.advance(self._pool.id, self.next_seq, self.oldest)

    def publish(self) -> None:
        """Shows what was committed to the readers."""
        if self._voters.fresh:
            self._pool.widen(self._voters.fresh)
        for row in self._rows:
            self._pool.admit(row)


class OutcomeDraft:
    """Outcomes that are in the log and on their way into a pool.

    A subject is evicted from the log at once when another takes its place, so
    that an outcome finds the same subjects however requests share commits.
    """

    def __init__(self, pool: Pool, log: Log, settings: MemorySettings) -> None:
        self._pool = pool
        self._log = log
        self._capacity = settings.capacity
        self._models = Columns(
            pool.name, pool.outcomes.models, settings.max_voters, kind="models", field="model"
        )
        self._next_seq = pool.outcomes.next_seq
        self._rows: list[LogOutcome] = []

    def add(self, outcome: NewOutcome, oldest: int) -> str | None:
        """Adds an outcome to the log, whose subject may be a sample numbered `oldest` or later.

        Returns:
            Nothing; or, where an outcome of this name exists, the name of its subject.

        Raises:
            SampleNotFoundError: Neither a sample nor a subject has the name that it gives.
            TooManyVotersError: The pool has no room for its model.
        """
        existing = self._log.outcomes.subject_of(self._pool.id, outcome.outcome_id)
        if existing is None:
            self._write(self._row(outcome, oldest), outcome.model)
        return existing

    def _row(self, outcome: NewOutcome, oldest: int) -> LogOutcome:
        subject, vector = self._log.outcomes.subject(self._pool.id, outcome.sample_id), None
        if subject is None:
            subject, vector = self._next_seq, outcome.prompt
            if vector is None:
                vector = self._log.prompt(self._pool.id, outcome.sample_id, oldest)
            if vector is None:
                raise sample_not_found(self._pool.name, outcome.sample_id)
        (column,) = self._models.of([outcome.model])
        return LogOutcome(
            outcome.outcome_id,
            subject,
            outcome.sample_id,
            column,
            outcome.quality,
            outcome.recorded_at,
            vector,
        )

    def _write(self, row: LogOutcome, model: str) -> None:
        if row.vector is not None:
            self._log.outcomes.drop(self._pool.id, [row.subject - self._capacity])
            self._next_seq += 1
        for column, name in self._models.add([model]):
            self._log.outcomes.add_model(self._pool.id, column, name)
        self._log.outcomes.add(self._pool.id, row)
        self._rows.append(row)

    def finish(self) -> None:
        """Writes down how far the numbers have come."""
        if self._rows:
            oldest = self._next_seq - self._capacity
            self._log.outcomes.advance(self._pool.id, self._next_seq, oldest)

    def publish(self) -> None:
        """Shows what was committed to the readers."""
        if self._models.fresh:
            self._pool.outcomes.widen(self._models.fresh)
        for row in self._rows:
            self._pool.outcomes.admit(row)


class Draft:
    """What a commit adds to one pool."""

    def __init__(self, pool: Pool, log: Log, settings: MemorySettings) -> None:
        self.pool = pool
        self.samples = SampleDraft(pool, log, settings)
        self.outcomes = OutcomeDraft(pool, log, settings)

    def finish(self) -> None:
        """Writes the last of it into the log."""
        self.samples.finish()
        self.outcomes.finish()

    def publish(self) -> None:
        """Shows what was committed to the readers."""
        self.samples.publish()
        self.outcomes.publish()


def sample_not_found(pool: str, sample_id: str) -> SampleNotFoundError:
    """The error for a name that neither a sample nor a subject has."""
    return SampleNotFoundError(
        f"Pool {pool} has no sample {sample_id!r} nor outcomes of it: it was never learned, or is "
        "forgotten; give the prompt itself.",
        field="sample_id",
    )
