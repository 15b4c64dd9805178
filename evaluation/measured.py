"""Ways to choose a model, measured: what each reaches, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.bootstrap import Interval, ratio, resampled_means, simultaneous
from evaluation.ways import Chosen, Floats, TaskRows, mean_of


@dataclass(frozen=True, slots=True)
class Way:
    """One way to choose a model for every prompt.

    Attributes:
        name: What it is; a model's name where it is always that.
        tasks: Accuracy on each of the T tasks; a task of one row has no interval.
        average: Over the tasks that have one, with equal weight.
        mean_cost: Of a call, over all rows whose cost is known; NaN where none is.
        unscored: Rows whose chosen model has no score; they are left out.
    """

    name: str
    tasks: tuple[Interval, ...]
    average: Interval
    mean_cost: float
    unscored: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """W ways on the same rows, with draws in common.

    Attributes:
        ways: By what each of them is.
        averages: By the same, the (R,) averages over tasks of the rows as they were drawn.
        pooled: By the same, the (1 + R,) averages over rows with equal weight, whatever their
            task: of the rows themselves and as they were drawn.
    """

    ways: Mapping[str, Way]
    averages: Mapping[str, Floats]
    pooled: Mapping[str, Floats]

    def difference(self, one: str, other: str) -> Interval:
        """Returns the average of one less that of the other, over draws in common."""
        mean = self.ways[one].average.mean - self.ways[other].average.mean
        return Interval.of(mean, self.averages[one] - self.averages[other])

    def pooled_difference(self, one: str, other: str) -> Interval:
        """Returns the same as `difference`, with equal weight for every row."""
        apart = self.pooled[one] - self.pooled[other]
        return Interval.of(float(apart[0]), apart[1:])

    def closed(self, one: str, low: str, high: str) -> Interval:
        """Returns what one reaches of the way from low to high, 1 for all of it.

        NaN where low and high are the same.
        """
        names = (one, low, high)
        means = [np.array(self.ways[name].average.mean) for name in names]
        drawn = [self.averages[name] for name in names]
        return Interval.of(float(_share(*means)), _share(*drawn))

    def surely_all(
        self, names: Sequence[str], other: str, rivals: Sequence[str] = (), *, pooled: bool = False
    ) -> list[Interval]:
        """Returns differences to another way, with 95 % intervals that hold all at once.

        They are those of `evaluation.bootstrap.simultaneous`. A single way has the plain interval
        of `difference`.

        Args:
            names: Ways, any of which may be picked by what comes of this.
            other: What they are compared with.
            rivals: Ways out of which that was picked on the same rows; their differences must
                hold, too. None if empty.
            pooled: Whether every row has equal weight, and not every task.
        """
        if len(names) == 1 and not rivals:
            difference = self.pooled_difference if pooled else self.difference
            return [difference(names[0], other)]
        others = list(dict.fromkeys([other, *rivals]))
        apart = np.stack(
            [self._values(one, pooled=pooled) - self._values(each, pooled=pooled)
             for each in others for one in names],
            axis=1,
        )  # fmt: skip
        return simultaneous(apart[0], apart[1:], [True] * apart.shape[1])[: len(names)]

    def _values(self, name: str, *, pooled: bool) -> Floats:
        """Returns (1 + R,) what a way reaches, of the rows themselves and as they were drawn."""
        if pooled:
            return self.pooled[name]
        return np.concatenate([[self.ways[name].average.mean], self.averages[name]])


def measure(
    ways: Mapping[str, Chosen], rows: TaskRows, *, seed: int = 0, resamples: int = 2000
) -> Measured:
    """Measures what ways to choose come to.

    Args:
        ways: W ways on n rows, at least one, by what each is.
        rows: The n rows.
        seed: Makes the intervals repeatable.
        resamples: How often the rows of each task are drawn anew.
    """
    outcomes = np.stack([each.outcomes for each in ways.values()], axis=1)
    drawn = resampled_means(outcomes, rows.strata, seed=seed, resamples=resamples)
    columns = {name: drawn[:, :, column] for column, name in enumerate(ways)}
    return Measured(
        {name: _way(way, rows, columns[name]) for name, way in ways.items()},
        {name: mean_of(columns[name].T) for name in ways},
        {name: _pooled(way, rows, columns[name]) for name, way in ways.items()},
    )


def _pooled(way: Chosen, rows: TaskRows, drawn: Floats) -> Floats:
    """Weighs the (T,) means and the (R, T) drawn ones by how many rows of a task are known."""
    known = np.array([(~np.isnan(way.outcomes[each])).sum() for each in rows.strata], np.float64)
    means = np.concatenate([rows.task_means(way.outcomes)[None], drawn])
    weights = np.where(np.isnan(means), 0.0, known)
    return ratio(np.nan_to_num(means * weights).sum(axis=1), weights.sum(axis=1))


def _way(way: Chosen, rows: TaskRows, drawn: Floats) -> Way:
    means = rows.task_means(way.outcomes)
    drawn_alone = np.where([each.size > 1 for each in rows.strata], drawn, np.nan)
    return Way(
        name=way.name,
        tasks=tuple(
            Interval.of(float(mean), drawn_alone[:, task]) for task, mean in enumerate(means)
        ),
        average=Interval.of(float(mean_of(means)), mean_of(drawn.T)),
        mean_cost=float(mean_of(way.costs)),
        unscored=int(np.isnan(way.outcomes).sum()),
    )


def _share(one: Floats, low: Floats, high: Floats) -> Floats:
    apart = np.asarray(high - low)
    share = np.full(apart.shape, np.nan)
    np.divide(one - low, apart, out=share, where=apart > 0)
    return share
