"""What a commit will do to one pool once it has succeeded."""

from collections.abc import Callable, Sequence

from scoring.errors import SampleNotFoundError, TooManyVotersError
from scoring.memory.log import Log, LogSample
from scoring.memory.outcomes.judged import LogAnswers
from scoring.memory.outcomes.log import LogOutcome
from scoring.memory.outcomes.values import NewOutcome
from scoring.memory.pool import Pool
from scoring.memory.values import MemorySettings, NewSample


class Columns:
    """Columns of a pool's voters, or models: those it has, and those that a commit adds."""

    def __init__(
        self,
        pool: Pool,
        known: Sequence[str],
        limit: int,
        write: Callable[[int, int, str], None],
        *,
        kind: str,
        field: str,
    ) -> None:
        self._pool = pool
        self._known = {name: column for column, name in enumerate(known)}
        self._limit = limit
        self._write = write
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
                f"Pool {self._pool.name} knows {known} {self._kind} and may know {self._limit}, so "
                f"{', '.join(strangers)} can't join: raise max_voters, the most {self._kind} of a "
                "pool, or use another pool.",
                field=self._field,
            )
        columns = self._known | {name: known + place for place, name in enumerate(strangers)}
        return tuple(columns[name] for name in names)

    def add(self, names: Sequence[str]) -> None:
        """Adds the unknown among some names, in the log too."""
        for name in names:
            if name not in self._known:
                self._write(self._pool.id, len(self._known), name)
                self._known[name] = len(self._known)
                self.fresh.append(name)


class SampleDraft:
    """Samples that are in the log and on their way into a pool, and its new voters.

    A sample leaves the log at once when another takes its place, so that a name is
    free, or not, however requests share commits.
    """

    def __init__(self, pool: Pool, log: Log, settings: MemorySettings, cutoff: float) -> None:
        self._pool = pool
        self._log = log
        self._cutoff = cutoff
        self._capacity = settings.capacity
        limit = settings.max_voters
        self.voters = Columns(
            pool, pool.voters, limit, log.add_voter, kind="voters", field="voters"
        )
        self._rows: list[LogSample] = []
        self._expired: list[int] = []

    @property
    def next_seq(self) -> int:
        """Number of the next sample."""
        return self._pool.next_seq + len(self._rows)

    def add(self, sample: NewSample) -> LogAnswers | None:
        """Adds a sample to the log; does nothing and returns nothing where its name exists.

        Raises:
            TooManyVotersError: The pool has no room for its voters.
        """
        answers = LogAnswers(self.voters.of(sample.voters), sample.pairs, sample.features)
        row = LogSample(self.next_seq, sample.sample_id, sample.learned_at, answers, sample.prompt)
        if not self._log.add_sample(self._pool.id, row) and not self._replace_expired(row):
            return None
        self._log.drop_samples(self._pool.id, [row.seq - self._capacity])
        self.voters.add(sample.voters)
        self._rows.append(row)
        return answers

    def _replace_expired(self, row: LogSample) -> bool:
        """Adds a sample in place of the one of its name, if that one is past its time to live."""
        old = self._log.sample(self._pool.id, row.sample_id)
        if old is None or old.learned_at >= self._cutoff:
            return False
        self._log.drop_samples(self._pool.id, [old.seq])
        self._expired.append(old.seq)
        return self._log.add_sample(self._pool.id, row)

    def finish(self) -> None:
        """Writes down how far the numbers have come."""
        if self._rows:
            self._log.advance(self._pool.id, self.next_seq, self.next_seq - self._capacity)

    def publish(self) -> None:
        """Shows what was committed to the readers."""
        if self.voters.fresh:
            self._pool.widen(self.voters.fresh)
        for seq in self._expired:
            self._pool.forget(seq)
        for row in self._rows:
            self._pool.admit(row)


class OutcomeDraft:
    """Outcomes that are in the log and on their way into a pool.

    A subject is evicted from the log at once when another takes its place, so
    that an outcome finds the same subjects however requests share commits.
    """

    def __init__(
        self, samples: SampleDraft, pool: Pool, log: Log, settings: MemorySettings, cutoff: float
    ) -> None:
        self._samples = samples
        self._pool = pool
        self._log = log
        self._cutoff = cutoff
        self._capacity = settings.capacity
        known, limit = pool.outcomes.models, settings.max_voters
        write = log.outcomes.add_model
        self._models = Columns(pool, known, limit, write, kind="models", field="model")
        self._next_seq = pool.outcomes.next_seq
        self._rows: list[LogOutcome] = []
        self._answers: list[tuple[int, LogAnswers]] = []
        self._expired: list[int] = []

    def add(self, outcome: NewOutcome) -> str | None:
        """Adds an outcome to the log.

        Returns:
            Nothing; or, where an outcome of this name exists, the name of its subject.

        Raises:
            SampleNotFoundError: Neither a sample nor a subject has the name that it gives.
            TooManyVotersError: The pool has no room for its model, or for the voters of answers
                that it brings and that are to be kept.
        """
        existing = self._subject_of(outcome.outcome_id)
        if existing is None:
            row, answers = self._row(outcome)
            if answers is None:
                answers = self._brought(row.subject, outcome)
            self._write(row, answers, outcome.model)
        return existing

    def _subject_of(self, outcome_id: str) -> str | None:
        """Name of the subject of a recorded outcome; one past its time to live is dropped."""
        found = self._log.outcomes.subject_of(self._pool.id, outcome_id)
        if found is None:
            return None
        seq, sample_id, newest_at = found
        if newest_at >= self._cutoff:
            return sample_id
        self._log.outcomes.drop(self._pool.id, [seq])
        self._expired.append(seq)
        return None

    def answer(self, sample_id: str, answers: LogAnswers) -> None:
        """Keeps how the answers to a subject lay; does nothing where that is known already.

        Args:
            sample_id: What may be the name of a subject.
            answers: Of the sample of this name.
        """
        subject = self._log.outcomes.subject(self._pool.id, sample_id)
        if subject is not None:
            self._answer(subject, answers)

    def _answer(self, subject: int, answers: LogAnswers) -> None:
        if self._log.judged.add(self._pool.id, subject, answers):
            self._answers.append((subject, answers))

    def _row(self, outcome: NewOutcome) -> tuple[LogOutcome, LogAnswers | None]:
        """What goes into the log, and the answers of a sample that becomes a subject by it."""
        subject = self._log.outcomes.subject(self._pool.id, outcome.sample_id)
        vector, answers = None, None
        if subject is None:
            sample = self._log.sample(self._pool.id, outcome.sample_id)
            subject, vector = self._next_seq, outcome.prompt
            if sample is not None:
                vector, answers = sample.prompt if vector is None else vector, sample.answers
            if vector is None:
                raise sample_not_found(self._pool.name, outcome.sample_id)
        (column,) = self._models.of([outcome.model])
        row = LogOutcome(
            outcome.outcome_id,
            subject,
            outcome.sample_id,
            column,
            outcome.quality,
            outcome.recorded_at,
            vector,
        )
        return row, answers

    def _brought(self, subject: int, outcome: NewOutcome) -> LogAnswers | None:
        """The answers that an outcome brings, where none are known; adds their voters."""
        brought = outcome.answers
        if brought is None or self._log.judged.knows(self._pool.id, subject):
            return None
        columns = self._samples.voters.of(brought.voters)
        self._samples.voters.add(brought.voters)
        return LogAnswers(columns, brought.pairs, brought.features)

    def _write(self, row: LogOutcome, answers: LogAnswers | None, model: str) -> None:
        if row.vector is not None:
            self._log.outcomes.drop(self._pool.id, [row.subject - self._capacity])
            self._next_seq += 1
        self._models.add([model])
        self._log.outcomes.add(self._pool.id, row)
        self._rows.append(row)
        if answers is not None:
            self._answer(row.subject, answers)

    def finish(self) -> None:
        """Writes down how far the numbers have come."""
        if self._rows:
            oldest = self._next_seq - self._capacity
            self._log.outcomes.advance(self._pool.id, self._next_seq, oldest)

    def publish(self) -> None:
        """Shows what was committed to the readers."""
        if self._models.fresh:
            self._pool.outcomes.widen(self._models.fresh)
        for seq in self._expired:
            self._pool.outcomes.forget(seq)
        for row in self._rows:
            self._pool.outcomes.admit(row)
        for subject, answers in self._answers:
            self._pool.outcomes.attach(subject, answers)


class Draft:
    """What a commit adds to one pool.

    Args:
        pool: What it is added to.
        log: Where it is written, inside a transaction.
        settings: How much a pool keeps.
        cutoff: What is older than this (unix seconds) is past its time to live, and free of its
            name though no sweep has taken it yet.
    """

    def __init__(self, pool: Pool, log: Log, settings: MemorySettings, cutoff: float) -> None:
        self.pool = pool
        self.samples = SampleDraft(pool, log, settings, cutoff)
        self.outcomes = OutcomeDraft(self.samples, pool, log, settings, cutoff)

    def learn(self, sample: NewSample) -> bool:
        """Adds a sample to the log; does nothing and says no where its name exists.

        Raises:
            TooManyVotersError: The pool has no room for its voters.
        """
        answers = self.samples.add(sample)
        if answers is not None:
            self.outcomes.answer(sample.sample_id, answers)
        return answers is not None

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
