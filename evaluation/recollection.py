"""What a pool that had learned a whole data set would recall of it, prompt by prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scoring.answers import Answers
from scoring.evidence import Neighbourhood, Totals
from scoring.kernels import row_contrasts
from scoring.pairs import pair_column, pair_count


@dataclass(frozen=True, slots=True, eq=False)
class Recollection:
    """The samples of a data set, as a memory keeps them.

    Attributes:
        voters: Names of all V voters, in order of first appearance.
        answered: (n, V) bool, who answered which prompt.
        rows: (n, V(V-1)/2) float32, squared distance of each pair of voters
            (columns as in `scoring.pairs`), NaN where it is missing.
        contrasts: (n, V(V-1)/2) float64, `row_contrasts` of the rows.
        totals: Over all samples.
    """

    voters: tuple[str, ...]
    answered: NDArray[np.bool_]
    rows: NDArray[np.float32]
    contrasts: NDArray[np.float64]
    totals: Totals

    @classmethod
    def of(cls, samples: Sequence[Answers]) -> Self:
        """Lays the answers to all prompts out in one order of voters."""
        voters = tuple(dict.fromkeys(name for each in samples for name in each.voters))
        position = {name: index for index, name in enumerate(voters)}
        answered = np.zeros((len(samples), len(voters)), np.bool_)
        rows = np.full((len(samples), pair_count(len(voters))), np.nan, np.float32)
        for sample, answers in enumerate(samples):
            of_pool = [position[name] for name in answers.voters]
            answered[sample, of_pool] = True
            rows[sample, _columns(of_pool)] = answers.pairs
        contrasts = np.array([row_contrasts(row, len(voters)) for row in rows], np.float64)
        totals = _totals(voters, answered, rows, contrasts)
        return cls(voters, answered, rows, contrasts, totals)

    def totals_without(self, sample: int) -> Totals:
        """Returns the sums over every sample but one, which is the current one."""
        one = slice(sample, sample + 1)
        own = _totals(self.voters, self.answered[one], self.rows[one], self.contrasts[one])
        return Totals(
            voters=self.voters,
            samples=self.totals.samples - 1,
            voter_samples=self.totals.voter_samples - own.voter_samples,
            sums=self.totals.sums - own.sums,
            counts=self.totals.counts - own.counts,
            contrast_sums=self.totals.contrast_sums - own.contrast_sums,
            contrast_squares=self.totals.contrast_squares - own.contrast_squares,
            contrast_counts=self.totals.contrast_counts - own.contrast_counts,
        )

    def neighbourhood(
        self, samples: NDArray[np.int64], squared_distances: NDArray[np.float32]
    ) -> Neighbourhood:
        """Returns the rows of some samples, given nearest first."""
        return Neighbourhood(self.voters, self.rows[samples], squared_distances)


def _totals(
    voters: tuple[str, ...],
    answered: NDArray[np.bool_],
    rows: NDArray[np.float32],
    contrasts: NDArray[np.float64],
) -> Totals:
    return Totals(
        voters=voters,
        samples=len(rows),
        voter_samples=answered.sum(axis=0, dtype=np.int64),
        sums=np.nansum(rows, axis=0, dtype=np.float64),
        counts=np.isfinite(rows).sum(axis=0, dtype=np.int64),
        contrast_sums=np.nansum(contrasts, axis=0),
        contrast_squares=np.nansum(contrasts**2, axis=0),
        contrast_counts=np.isfinite(contrasts).sum(axis=0, dtype=np.int64),
    )


def _columns(of_pool: Sequence[int]) -> list[int]:
    """Returns the pool's column of each pair of a sample's voters, in their own order."""
    return [pair_column(of_pool[i], of_pool[j]) for j in range(len(of_pool)) for i in range(j)]
