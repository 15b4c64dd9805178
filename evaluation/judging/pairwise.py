"""Ways that compare answers two at a time, for any of the voters."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evaluation.generations import Ensemble, Generation
from evaluation.pairwise import PairwiseRanker, Progress, rank_ensembles
from evaluation.preferences import JudgedAnswers
from evaluation.ways import mean_of


@dataclass(frozen=True, slots=True, eq=False)
class PairwiseWins:
    """What a pairwise ranker says of the answers to n prompts.

    Attributes:
        name: Of the ranker, for people.
        wins: (n, V, V) float64, the probability that the answer of the row's voter beats
            that of the column's; NaN where one of them did not answer.
    """

    name: str
    wins: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        name: str,
        ranker: PairwiseRanker,
        judged: JudgedAnswers,
        progress: Progress | None = None,
    ) -> Self:
        """Compares every two answers to every prompt, once.

        Raises:
            EvaluationError: A judge failed.
            EncodersError: A model failed.
        """
        present = judged.present
        rankings = rank_ensembles(ranker, list(_ensembles(judged)), progress)
        wins = np.full((*present.shape, present.shape[1]), np.nan)
        for row, ranking in enumerate(rankings):
            among = np.flatnonzero(present[row])
            wins[row][np.ix_(among, among)] = ranking.wins
        return cls(name, wins)

    def strengths(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns how often an answer beats one of the others, among some voters.

        Args:
            columns: (K,) the voters.

        Returns:
            (n, K) float64, 0.5 where there is no other; as of `scoring.pairwise`.
        """
        among = self.wins[:, columns[:, None], columns].copy()
        own = np.arange(len(columns))
        among[:, own, own] = np.nan
        strengths = mean_of(np.moveaxis(among, 2, 0))
        return np.where(np.isnan(strengths), 0.5, strengths)


def _ensembles(judged: JudgedAnswers) -> Iterator[Ensemble]:
    for prompt, texts, here in zip(judged.prompts, judged.texts, judged.present, strict=True):
        answers = zip(judged.voters, texts, here, strict=True)
        yield Ensemble(
            prompt, tuple(Generation(voter, text) for voter, text, given in answers if given)
        )
