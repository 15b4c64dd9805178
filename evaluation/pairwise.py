"""Whatever compares answers two at a time, and what it chooses.

`encoders.PairRanker` (a model such as PairRM) and `evaluation.judge.JudgeRanker` (a large
language model behind an endpoint) are such rankers. See `docs/pairwise.md`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.generations import Ensemble
from scoring.pairwise import PairwiseRanking, Strength, rank_pairwise

Progress = Callable[[int, int], None]
"""Told how many of how many prompts are ranked."""


class PairwiseRanker(Protocol):
    """Says which of two answers to a prompt is better, for every two of them."""

    @property
    def concurrency(self) -> int:
        """How many prompts are worth comparing at a time, from threads of their own."""

    def compare(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float64]:
        """Compares every two answers, in both orders.

        Args:
            prompt: What was asked.
            answers: g of them, at least one.

        Returns:
            (g, g) float64, the probability that the answer of the row beats that of the
            column; 0.5 on the diagonal, and mirrored entries sum to 1.
        """


def rank_ensembles(
    ranker: PairwiseRanker,
    ensembles: Sequence[Ensemble],
    progress: Progress | None = None,
    strength: Strength = Strength.WINS,
) -> tuple[PairwiseRanking, ...]:
    """Ranks the answers to each of n prompts.

    Args:
        ranker: Compares; called from as many threads as it wants prompts at a time.
        ensembles: The prompts and their answers.
        progress: Told as prompts are ranked; called from this thread.
        strength: By what answers are ranked.

    Returns:
        n rankings, in the order of the prompts. `best` of one is the place of the chosen
        answer among the ensemble's generations.

    Raises:
        EvaluationError: A judge failed; comparisons that have not begun are given up, and
            those that have are not waited for.
        EncodersError: A model failed.
    """
    found: list[PairwiseRanking | None] = [None] * len(ensembles)
    pool = ThreadPoolExecutor(max(1, ranker.concurrency))
    try:
        waiting = {
            pool.submit(_ranked, ranker, each, strength): row for row, each in enumerate(ensembles)
        }
        for done, future in enumerate(as_completed(waiting), start=1):
            found[waiting[future]] = future.result()
            if progress:
                progress(done, len(ensembles))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return tuple(each for each in found if each is not None)


def _ranked(ranker: PairwiseRanker, ensemble: Ensemble, strength: Strength) -> PairwiseRanking:
    answers = [generation.text for generation in ensemble.generations]
    return rank_pairwise(ranker.compare(ensemble.prompt, answers), strength)
