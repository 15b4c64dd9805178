"""Which of several routers to trust, by scores of rows that they had not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.fitting.fold import Study
from scoring.fitting.gains import gains_of, standard_error, task_gains, trusted_averages
from scoring.fitting.kinds import learn
from scoring.fitting.trials import Plan, Scores, Trial
from scoring.fitting.values import Chosen, Fitted, Settings, Tried

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A router that may be learned on all rows.

    Attributes:
        kind: Of the router.
        settings: All its parameters.
        tables: (n, K) held-out scores of the scored rows by each regime of the plan.
        members: What a stack is made of, with a weight for each.
    """

    kind: str
    settings: Settings
    tables: tuple[Scores, ...]
    members: tuple[tuple["Candidate", float], ...] = ()

    def learned(self, study: Study) -> Fitted:
        """Learns it, and its members."""
        if not self.members:
            return learn(self.kind, study, self.settings)
        arrays = {"weights": np.array([weight for _, weight in self.members], np.float32)}
        for place, (member, _) in enumerate(self.members):
            own = member.learned(study).arrays
            arrays |= {f"{place}.{name}": array for name, array in own.items()}
        return Fitted(self.kind, arrays, dict(self.settings))


def candidates_of(trial: Trial) -> list[Candidate]:
    """Makes one of each setting."""
    return [
        Candidate(trial.kind, setting, tuple(table[place] for table in trial.tables))
        for place, setting in enumerate(trial.settings)
    ]


def ranked(plan: Plan, candidates: Sequence[Candidate]) -> tuple[Candidate, tuple[Tried, ...]]:
    """Returns the most trusted candidate, of equal ones the first, and how all did."""
    tasks, number = plan.scored.task_numbers(), len(plan.scored.task_names())
    found = [_gains(plan, candidates, place) for place in range(len(plan.regimes))]
    gains, trusted = found[0], _trusted(plan, found)
    averages = _averages(task_gains(gains, tasks, number))
    order = np.argsort(-trusted, kind="stable").tolist()
    tried = tuple(
        Tried(
            kind=candidates[place].kind,
            parameters=candidates[place].settings,
            average=averages[place],
            trusted=float(trusted[place]),
            error=standard_error(gains[place], gains[order[0]], tasks, number),
        )
        for place in order
    )
    return candidates[order[0]], tried


def chosen_of(plan: Plan, candidate: Candidate, tried: tuple[Tried, ...]) -> Chosen:
    """Learns a candidate on all rows, and says how it did by task."""
    names = plan.scored.task_names()
    means = task_gains(_gains(plan, [candidate], 0), plan.scored.task_numbers(), len(names))
    return Chosen(
        fitted=candidate.learned(Study(plan.rows, plan.seed)),
        held_out=candidate.tables[0].astype(np.float64),
        average=_averages(means)[0],
        tasks=dict(zip(names, means[0].tolist(), strict=True)),
        tried=tried,
    )


def _gains(plan: Plan, candidates: Sequence[Candidate], regime: int) -> Floats:
    """What each candidate gains on each row (S, n), by the scores of one regime."""
    qualities = plan.scored.qualities
    return np.stack([gains_of(each.tables[regime], qualities) for each in candidates])


def _trusted(plan: Plan, gains: Sequence[Floats]) -> Floats:
    """Weighs trusted averages (S,) of the gains by each regime."""
    tasks, number = plan.scored.task_numbers(), len(plan.scored.task_names())
    weights = np.array([regime.weight for regime in plan.regimes])
    averages = [trusted_averages(each, tasks, number) for each in gains]
    return np.asarray(weights @ averages / weights.sum())


def _averages(means: Floats) -> list[float]:
    """Averages (S, T) means over the tasks where something is known, NaN where none is."""
    known = ~np.isnan(means)
    sums = np.where(known, means, 0.0).sum(axis=1)
    counts = known.sum(axis=1)
    return [
        float(total / count) if count else float("nan")
        for total, count in zip(sums, counts, strict=True)
    ]
