"""Running sums over the live samples of a pool."""

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scoring.evidence import Totals
from scoring.kernels import row_contrasts
from scoring.memory.agreement import Columns, pair_columns
from scoring.pairs import pair_count


@dataclass(frozen=True, slots=True)
class Terms:
    """What some samples add to sums (P,), and how many of the terms are not zero."""

    sums: NDArray[np.float64]
    nonzero: NDArray[np.int64]

    @classmethod
    def of(cls, rows: NDArray[np.floating]) -> Self:
        """Sums rows (n, P)."""
        return cls(rows.sum(axis=0, dtype=np.float64), np.count_nonzero(rows, axis=0))


@dataclass(frozen=True, slots=True)
class Share:
    """What some samples of the same voters contribute to the totals of their pool."""

    columns: Columns
    samples: int
    distances: Terms
    contrasts: Terms
    squares: Terms
    """Of the contrasts."""

    @classmethod
    def of(cls, columns: Columns, pairs: NDArray[np.float32]) -> Self:
        """Sums rows (n, K(K-1)/2) of voters in ascending column order."""
        contrasts = np.zeros((len(pairs), 0))
        if len(columns) >= 3:  # fewer can't tell their noise apart
            contrasts = np.stack([row_contrasts(row, len(columns)) for row in pairs])
        return cls(
            columns, len(pairs), Terms.of(pairs), Terms.of(contrasts), Terms.of(contrasts**2)
        )


class RunningSums:
    """Sums (P,) float64 that terms join and leave, nearly without a trace.

    The rounding error of every step is summed as well (Neumaier, 1974). Where
    no term is left but zeros, the sum is exactly zero.
    """

    def __init__(self) -> None:
        self._sums = np.zeros(0)
        self._lost = np.zeros(0)
        self._nonzero = np.zeros(0, np.int64)

    def widen(self, size: int) -> None:
        """Appends zeros."""
        more = (0, size - len(self._sums))
        self._sums = np.pad(self._sums, more)
        self._lost = np.pad(self._lost, more)
        self._nonzero = np.pad(self._nonzero, more)

    def add(self, columns: NDArray[np.int64], terms: Terms, sign: int) -> None:
        """Adds to some distinct columns, or takes away from them."""
        old, step = self._sums[columns], sign * terms.sums
        new = old + step
        part = new - old
        self._lost[columns] += (old - (new - part)) + (step - part)
        self._sums[columns] = new
        self._nonzero[columns] += sign * terms.nonzero
        empty = columns[self._nonzero[columns] == 0]
        self._sums[empty] = self._lost[empty] = 0.0

    def values(self) -> NDArray[np.float64]:
        """The sums."""
        return self._sums + self._lost


class RunningTotals:
    """The arrays of `scoring.evidence.Totals`, kept up to date by shares."""

    def __init__(self, voters: int = 0) -> None:
        self.samples = 0
        self._voter_samples = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)
        self._contrast_counts = np.zeros(0, np.int64)
        self._sums = RunningSums()
        self._contrast_sums = RunningSums()
        self._contrast_squares = RunningSums()
        self.widen(voters)

    @property
    def voters(self) -> int:
        """How many voters there are sums for."""
        return len(self._voter_samples)

    def widen(self, voters: int) -> None:
        """Makes room for more voters."""
        self._voter_samples = np.pad(self._voter_samples, (0, voters - self.voters))
        pairs = pair_count(voters)
        self._counts = np.pad(self._counts, (0, pairs - len(self._counts)))
        more = pairs - len(self._contrast_counts)
        self._contrast_counts = np.pad(self._contrast_counts, (0, more))
        for sums in (self._sums, self._contrast_sums, self._contrast_squares):
            sums.widen(pairs)

    def add(self, share: Share, sign: int = 1) -> None:
        """Adds a share, or takes it away with sign -1."""
        targets, samples = pair_columns(share.columns), sign * share.samples
        self.samples += samples
        self._voter_samples[list(share.columns)] += samples
        self._counts[targets] += samples
        self._sums.add(targets, share.distances, sign)
        if share.contrasts.sums.size:
            self._contrast_counts[targets] += samples
            self._contrast_sums.add(targets, share.contrasts, sign)
            self._contrast_squares.add(targets, share.squares, sign)

    def without(self, share: Share) -> "RunningTotals":
        """A copy that lacks a share."""
        others = copy.deepcopy(self)
        others.add(share, -1)
        return others

    def snapshot(self, voters: tuple[str, ...]) -> Totals:
        """A copy for a reader."""
        return Totals(
            voters=voters,
            samples=self.samples,
            voter_samples=self._voter_samples.copy(),
            # What terms of very different size leave behind may be below zero.
            sums=np.maximum(self._sums.values(), 0.0),
            counts=self._counts.copy(),
            contrast_sums=self._contrast_sums.values(),
            contrast_squares=np.maximum(self._contrast_squares.values(), 0.0),
            contrast_counts=self._contrast_counts.copy(),
        )


class LiveTotals:
    """Totals whose rounding errors leave with the samples that caused them.

    Beside the totals in use stand others, of the samples since a certain one.
    When all before it are gone the two mean the same, but the others never held
    what is gone: they take over, and new ones begin. So everything is summed
    afresh once in a generation of the pool, and nothing is ever scanned.
    """

    def __init__(self) -> None:
        self.current = RunningTotals()
        self._young = RunningTotals()
        self._since = 0
        self._latest = -1

    def widen(self, voters: int) -> None:
        """Makes room for more voters."""
        self.current.widen(voters)
        self._young.widen(voters)

    def add(self, seq: int, share: Share) -> None:
        """Adds samples, of which `seq` is the last."""
        self._latest = max(self._latest, seq)
        self.current.add(share)
        self._young.add(share)

    def forget(self, seq: int, share: Share) -> None:
        """Takes out one sample."""
        self.current.add(share, -1)
        if seq >= self._since:
            self._young.add(share, -1)
        if self._young.samples == self.current.samples:
            self.current = self._young
            self._young = RunningTotals(self.current.voters)
            self._since = self._latest + 1
