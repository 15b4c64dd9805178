"""Which of several models answered best? An estimator of quality without labels.

Smoothie (Guha et al., NeurIPS 2024) takes the embeddings of K answers to a prompt
and estimates each voter's noise from how far its answers lie from the others'. It
works on arrays; no server is needed:

    >>> import numpy as np
    >>> from scoring import estimate_alone, fit_global, measure_answers, rank_generations
    >>> answers = np.array([[1.0, 0.0], [0.9, 0.1], [1.0, 0.1], [0.0, 1.0]], np.float32)
    >>> measured = measure_answers(["ant", "bee", "cat", "dog"], answers)
    >>> rank_generations(measured, estimate_alone(measured)).rank.tolist()
    [3, 1, 2, 4]
    >>> fit_global(answers[None]).order.tolist()  # a data set of one prompt, (n, K, d)
    [1, 2, 0, 3]

What is assumed, the equations and every edge case are in `docs/estimators.md`.
"""

from scoring.answers import Answers, measure_answers
from scoring.dataset import (
    NoiseFit,
    check_threading_layer,
    fit_global,
    fit_local,
    fit_samples,
    nearest_prompts,
)
from scoring.errors import InvalidArrayError, ScoringError
from scoring.estimator import (
    Estimate,
    Ranking,
    estimate_alone,
    estimate_global,
    estimate_local,
    noise_of_neighbourhoods,
    noise_of_totals,
    rank_generations,
)
from scoring.evidence import Neighbourhood, Totals
from scoring.kernels import row_contrasts, warm_up
from scoring.pairs import pair_column, pair_count

__all__ = [
    "Answers",
    "Estimate",
    "InvalidArrayError",
    "Neighbourhood",
    "NoiseFit",
    "Ranking",
    "ScoringError",
    "Totals",
    "check_threading_layer",
    "estimate_alone",
    "estimate_global",
    "estimate_local",
    "fit_global",
    "fit_local",
    "fit_samples",
    "measure_answers",
    "nearest_prompts",
    "noise_of_neighbourhoods",
    "noise_of_totals",
    "pair_column",
    "pair_count",
    "rank_generations",
    "row_contrasts",
    "warm_up",
]
