"""The samples of a pool, summed window by window as they come."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluation.drift.noise import GROUPS, Evidence, NoiseEstimate, estimate_noise
from evaluation.drift.windows import MOST_WINDOWS, WindowPlan
from evaluation.errors import UnreadableDataError
from scoring.pairs import pair_column, pair_count


@dataclass(slots=True, eq=False)
class _Sums:
    """What one window holds so far; its columns are those of the voters known when it grew."""

    samples: int = 0
    answered: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((GROUPS, 0)))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((GROUPS, 0), np.int64))

    def grow(self, voters: int) -> None:
        """Makes room for more voters; a new voter only appends columns."""
        if voters <= len(self.answered):
            return
        pairs = pair_count(voters) - self.sums.shape[1]
        self.answered = np.pad(self.answered, (0, voters - len(self.answered)))
        self.sums = np.pad(self.sums, ((0, 0), (0, pairs)))
        self.counts = np.pad(self.counts, ((0, 0), (0, pairs)))


@dataclass(frozen=True, slots=True, eq=False)
class WindowNoise:
    """One window of a pool.

    Attributes:
        start: Where it begins, in seconds since 1970, UTC.
        end: Where it ends.
        samples: How many samples were learned in it.
        answered: (V,) int64, how many of them each voter answered.
        noise: Per voter, over this window alone.
    """

    start: float
    end: float
    samples: int
    answered: NDArray[np.int64]
    noise: NoiseEstimate

    @property
    def rank(self) -> NDArray[np.int64]:
        """(V,) int64, 1 for the least noisy; 0 where noise isn't identified."""
        noise = self.noise.variance
        rank = np.zeros(len(noise), np.int64)
        order = [voter for voter in np.argsort(noise, kind="stable") if not np.isnan(noise[voter])]
        rank[order] = np.arange(1, len(order) + 1)
        return rank


class PoolHistory:
    """Sums over windows of time, which is all that noise and its error need.

    Memory is constant in the number of samples: per window, `GROUPS` sums and counts for
    each pair of voters.
    """

    def __init__(self, plan: WindowPlan) -> None:
        self.plan = plan
        self._voters: dict[str, int] = {}
        self._windows: dict[int, _Sums] = {}
        self._places: dict[tuple[str, ...], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    @property
    def voters(self) -> tuple[str, ...]:
        """Names of the V voters, in order of first appearance."""
        return tuple(self._voters)

    @property
    def samples(self) -> int:
        """How many samples were taken."""
        return sum(each.samples for each in self._windows.values())

    def add(self, learned_at: float, voters: Sequence[str], distances: NDArray[np.float32]) -> None:
        """Takes one sample.

        Args:
            learned_at: When it was learned, in seconds since 1970, UTC.
            voters: The K voters that answered.
            distances: (K(K-1)/2,) squared distances between their answers, columns as in
                `scoring.pairs`.

        Raises:
            UnreadableDataError: Its window would be one too many.
        """
        columns, pairs = self._placed(tuple(voters))
        window = self._window(self.plan.index(learned_at))
        window.grow(len(self._voters))
        group = window.samples % GROUPS
        window.sums[group, pairs] += distances
        window.counts[group, pairs] += 1
        window.answered[columns] += 1
        window.samples += 1

    def windows(self) -> tuple[WindowNoise, ...]:
        """Returns every window from the first that has a sample to the last, in order."""
        if not self._windows:
            return ()
        first, last = min(self._windows), max(self._windows)
        return tuple(self._noise_of(index) for index in range(first, last + 1))

    def evidence(self) -> tuple[tuple[float, Evidence], ...]:
        """Returns where each window that has a sample begins, and its sums, in order."""
        return tuple(
            (self.plan.bounds(index)[0], self._evidence(self._windows[index]))
            for index in sorted(self._windows)
        )

    def _window(self, index: int) -> _Sums:
        if index not in self._windows:
            known = [*self._windows, index]
            if max(known) - min(known) >= MOST_WINDOWS:
                raise UnreadableDataError(
                    f"The samples go over more than {MOST_WINDOWS} windows; give a longer --window."
                )
            self._windows[index] = _Sums()
        return self._windows[index]

    def _placed(self, voters: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the pool's columns of the voters and of their pairs."""
        if voters not in self._places:
            at = [self._voters.setdefault(voter, len(self._voters)) for voter in voters]
            pairs = [pair_column(at[i], at[j]) for j in range(len(at)) for i in range(j)]
            self._places[voters] = np.array(at, np.int64), np.array(pairs, np.int64)
        return self._places[voters]

    def _noise_of(self, index: int) -> WindowNoise:
        sums = self._windows.get(index, _Sums())
        evidence = self._evidence(sums)
        start, end = self.plan.bounds(index)
        return WindowNoise(start, end, sums.samples, sums.answered, estimate_noise(evidence))

    def _evidence(self, sums: _Sums) -> Evidence:
        sums.grow(len(self._voters))
        return Evidence(len(self._voters), sums.sums, sums.counts)
