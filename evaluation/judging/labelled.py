"""Ways that rest on judgements of other prompts: Smoothie's two labelled baselines.

Guha et al., NeurIPS 2024, section 5: the voter that is best on a few labelled prompts,
and for each prompt the one that is best on the labelled prompts nearest to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.judging.ways import Choices, Floats, Kind, Way
from evaluation.ways import mean_of
from scoring.routers.local import LabelledKnnScorer, Locality

FOLDS = 5
# So few pseudo-counts that they decide nothing but ties.
_TIE_BREAK = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Prompts that are tested, and others that are labelled."""

    tested: NDArray[np.int64]
    labelled: NDArray[np.int64]


def cross_fitting(
    wins: Floats, labels: int, *, repeats: int, seed: int
) -> tuple[tuple[Split, ...], ...]:
    """Draws which prompts are labelled, none of which is tested by what it taught.

    Args:
        wins: (n, V), NaN where an answer was not judged.
        labels: Most labelled prompts that a choice may rest on.
        repeats: How often to draw; once where every other fold is labelled anyway.
        seed: Makes the draws repeatable.

    Returns:
        Per repeat, splits whose tested prompts are together all n. Empty where fewer
        than two prompts were judged.
    """
    judged = np.flatnonzero(np.isfinite(wins).any(axis=1))
    if len(judged) < 2:
        return ()
    generator = np.random.default_rng(seed)
    folds = min(FOLDS, len(judged))
    if labels >= len(judged) - len(judged) // folds:
        repeats = 1
    return tuple(_split(judged, len(wins), labels, folds, generator) for _ in range(repeats))


def _split(
    judged: NDArray[np.int64], prompts: int, labels: int, folds: int, generator: np.random.Generator
) -> tuple[Split, ...]:
    fold = np.empty(prompts, np.int64)
    # Judged prompts are dealt evenly, so that no fold lacks labelled prompts.
    fold[:] = generator.integers(folds, size=prompts)
    fold[judged] = generator.permutation(np.arange(len(judged)) % folds)
    return tuple(
        Split(
            np.flatnonzero(fold == each),
            np.sort(generator.permutation(judged[fold[judged] != each])[:labels]),
        )
        for each in range(folds)
    )


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScores:
    """What labelled prompts say of every voter, for every prompt, in R draws.

    Attributes:
        draws: Which prompts are labelled, as of `cross_fitting`.
        labels: Most labelled prompts that a score rests on.
        neighbours: How many of them the nearest are.
        means: (R, n, V) float64, mean quality over the labelled prompts; -1 where unknown.
        nearby: (R, n, V) float64, the same over the nearest.
    """

    draws: Sequence[Sequence[Split]]
    labels: int
    neighbours: int
    means: Floats
    nearby: Floats

    @classmethod
    def of(
        cls,
        prompts: NDArray[np.float32],
        wins: Floats,
        draws: Sequence[Sequence[Split]],
        labels: int,
        neighbours: int,
    ) -> "LabelledScores":
        """Learns from the labelled prompts of each split, and scores the tested ones.

        Args:
            prompts: (n, d) vectors.
            wins: (n, V) qualities, NaN where unknown.
            draws: As of `cross_fitting`, at least one.
            labels: As they were drawn with.
            neighbours: k of the nearest labelled prompts.
        """
        means, nearby = (np.empty((len(draws), *wins.shape)) for _ in range(2))
        for draw, splits in enumerate(draws):
            for split in splits:
                known = wins[split.labelled]
                average = _means(known)
                means[draw, split.tested] = average
                scorer = _knn(prompts[split.labelled], known, average, neighbours)
                for row in split.tested:
                    nearby[draw, row] = scorer.score(prompts[row]).scores
        return cls(draws, labels, neighbours, means, nearby)

    def ways(self, columns: NDArray[np.int64], present: NDArray[np.bool_]) -> Iterator[Way]:
        """Yields both baselines among some voters.

        Args:
            columns: (K,) the voters.
            present: (n, K) which of them answered.
        """
        for name, scores in (
            (f"best of {self.labels} labelled", self.means),
            (f"nearest {self.neighbours} of {self.labels} labelled", self.nearby),
        ):
            yield Way(name, Kind.LABELS, shares_of(scores[:, :, columns], present))


def shares_of(scores: Floats, present: NDArray[np.bool_]) -> Floats:
    """Returns the (n, K) share of R draws in which each voter has the highest score.

    Args:
        scores: (R, n, K); the first of equals is taken.
        present: (n, K), who may be chosen.
    """
    choices: Choices = np.where(present, scores, -np.inf).argmax(axis=2)
    return np.asarray(np.mean(choices[:, :, None] == np.arange(present.shape[1]), axis=0))


def _means(known: Floats) -> Floats:
    means = mean_of(known)
    return np.where(np.isnan(means), -1.0, means)


def _knn(
    prompts: NDArray[np.float32], known: Floats, average: Floats, neighbours: int
) -> LabelledKnnScorer:
    arrays = {
        "centre": np.zeros(prompts.shape[1], np.float32),
        "prompts": prompts,
        "qualities": known.astype(np.float32),
        "means": average.astype(np.float32),
    }
    return LabelledKnnScorer(arrays, Locality(neighbours), _TIE_BREAK)
