"""Scores a whole data set, every prompt through the same code that answers a request.

A request is measured, recalls what its pool knows, and is estimated. Offline the
pool is the data set itself, which every prompt's own answers are set aside from
and then added back by the estimator, as for a request.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.generations import Ensemble
from evaluation.method import Embedding, Estimator, Formula, Method
from evaluation.recollection import Recollection
from evaluation.texts import EncodedTexts, Progress, TextEncoder
from scoring.answers import Answers, measure_answers
from scoring.dataset import nearest_prompts
from scoring.estimator import (
    Estimate,
    Ranking,
    estimate_alone,
    estimate_global,
    estimate_local,
    rank_generations,
)
from scoring.reference import reference_weights


@dataclass(frozen=True, slots=True, eq=False)
class ScoredEnsemble:
    """The answers to one prompt, ranked.

    Attributes:
        ensemble: The prompt and its g generations.
        answers: Their K voters and distances.
        estimate: Per voter, with the weights and order of the formula in use.
        ranking: Per generation, in the ensemble's order.
        estimator: The one that ran: `single` where `samples` was asked for and
            every voter answered once.
    """

    ensemble: Ensemble
    answers: Answers
    estimate: Estimate
    ranking: Ranking
    estimator: Estimator


@dataclass(frozen=True, slots=True)
class Scoring:
    """A data set, scored.

    Attributes:
        ensembles: In the order in which they were given.
        texts: Distinct texts that were encoded.
        truncated: How many of them were longer than the encoder reads.
    """

    ensembles: tuple[ScoredEnsemble, ...]
    texts: int
    truncated: int


def score_ensembles(
    ensembles: Sequence[Ensemble],
    encoder: TextEncoder,
    method: Method | None = None,
    progress: Progress | None = None,
) -> Scoring:
    """Encodes and ranks the answers to every prompt of a data set.

    Args:
        ensembles: The prompts and their answers.
        encoder: Makes vectors of texts.
        method: How; Global on the answers alone if None.
        progress: Called as texts are encoded.

    Returns:
        The ranked answers of every prompt, in the order of `ensembles`.
    """
    chosen = method or Method()
    texts = EncodedTexts(_all_texts(ensembles, chosen), encoder, progress)
    samples = [
        measure_answers(
            [each.voter for each in ensemble.generations],
            texts.of(_embedded_texts(ensemble, chosen.embedding)),
        )
        for ensemble in ensembles
    ]
    estimates = _estimates(ensembles, samples, texts, chosen)
    scored = map(_ranked, ensembles, samples, estimates, [chosen] * len(ensembles))
    return Scoring(tuple(scored), len(texts), texts.truncated)


def _all_texts(ensembles: Sequence[Ensemble], method: Method) -> Iterator[str]:
    for ensemble in ensembles:
        if method.estimator is Estimator.LOCAL:
            yield ensemble.prompt
        yield from _embedded_texts(ensemble, method.embedding)


def _embedded_texts(ensemble: Ensemble, embedding: Embedding) -> list[str]:
    answers = [each.text for each in ensemble.generations]
    if embedding is Embedding.GENERATION:
        return answers
    return [f"{ensemble.prompt}\n{answer}" for answer in answers]


def _estimates(
    ensembles: Sequence[Ensemble],
    samples: Sequence[Answers],
    texts: EncodedTexts,
    method: Method,
) -> Iterator[Estimate]:
    if not samples or method.estimator in {Estimator.SINGLE, Estimator.SAMPLES}:
        return map(estimate_alone, samples)
    pool = Recollection.of(samples)
    if method.estimator is Estimator.GLOBAL:
        totals = map(pool.totals_without, range(len(samples)))
        return map(estimate_global, samples, totals)
    prompts = texts.of([each.prompt for each in ensembles])
    return _local_estimates(samples, pool, prompts, method.neighbours)


def _local_estimates(
    samples: Sequence[Answers],
    pool: Recollection,
    prompts: NDArray[np.float32],
    neighbours: int,
) -> Iterator[Estimate]:
    nearest = nearest_prompts(prompts, neighbours)
    for sample, others in zip(samples, nearest, strict=True):
        current, recalled = others[0], others[1:]
        apart = np.sum((prompts[recalled] - prompts[current]) ** 2, axis=1)
        yield estimate_local(sample, pool.neighbourhood(recalled, apart))


def _ranked(
    ensemble: Ensemble, answers: Answers, estimate: Estimate, method: Method
) -> ScoredEnsemble:
    if method.formula is Formula.REFERENCE:
        estimate = _by_reference(estimate)
    alone = method.estimator is Estimator.SAMPLES and answers.samples_per_voter.max() == 1
    return ScoredEnsemble(
        ensemble,
        answers,
        estimate,
        rank_generations(answers, estimate),
        Estimator.SINGLE if alone else method.estimator,
    )


def _by_reference(estimate: Estimate) -> Estimate:
    """Orders the voters as `argmax` of the authors' weights would: NaN is the largest.

    Their factor d cancels out, and their formula has no margin.
    """
    weight = reference_weights(estimate.noise_variance, dimension=1)
    order = np.argsort(np.where(np.isnan(weight), -np.inf, -weight), kind="stable")
    return estimate._replace(weight=weight, order=order, margin=np.nan, tied=())
