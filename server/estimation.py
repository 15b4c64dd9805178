"""Recall and estimate of one request: which evidence there is, and what follows from it."""

import time
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.answers import Answers, measure_answers
from scoring.calibrated import CalibratedEstimate, CalibrationFit, calibrate
from scoring.errors import PoolNotFoundError
from scoring.estimator import Estimate, estimate_alone, estimate_global, estimate_local
from scoring.evidence import Neighbourhood, Totals
from scoring.features import measure_features
from scoring.judged import features_of_request
from scoring.memory import EmbeddingSpace, Memory
from server.recalls import Asked, Recalls
from server.requests import EstimatorKind, Fallback, ScoreRequest
from server.worker import EstimateWorker

_RECALLING = (EstimatorKind.GLOBAL, EstimatorKind.LOCAL, EstimatorKind.CALIBRATED)
_NEARBY = (EstimatorKind.LOCAL, EstimatorKind.CALIBRATED)


class Embedded(NamedTuple):
    """A request's vectors, wherever they came from.

    Attributes:
        prompt: Shape (d,), float32.
        answers: Shape (g, d), float32.
        truncated: Shape (g + 1,), bool: the prompt first, then each answer.
        space: Where they live.
        characters: Of each of the g answers; None where they came as vectors.
    """

    prompt: NDArray[np.float32]
    answers: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    space: EmbeddingSpace
    characters: tuple[int, ...] | None


class Estimated(NamedTuple):
    """What came of it, and what it took in seconds.

    Attributes:
        features: Of the answers, as `scoring.features.measure_features` has them; None where
            neither learning nor calibration wants them.
        calibrated: What outcomes changed, where the request asked for them.
    """

    answers: Answers
    features: NDArray[np.float32] | None
    estimate: Estimate
    calibrated: CalibratedEstimate | None
    kind: EstimatorKind
    fallback: Fallback | None
    pool_revision: int
    recall_seconds: float
    estimate_seconds: float


class Measured(NamedTuple):
    """A request's answers, and the estimator that they allow.

    Attributes:
        features: As in `Estimated`.
        kind: To run.
        fallback: Why it is not the one that was asked for.
        seconds: What it took.
    """

    answers: Answers
    features: NDArray[np.float32] | None
    kind: EstimatorKind
    fallback: Fallback | None
    seconds: float


class Recollection(NamedTuple):
    """What a pool says.

    Attributes:
        evidence: None where there is none to recall.
        seconds: What it took to recall.
        revision: Of the pool; 0 where there is none.
    """

    evidence: Neighbourhood | Totals | None
    seconds: float
    revision: int


_NOTHING = Recollection(None, 0.0, 0)


def estimate_request(
    memory: Memory, request: ScoreRequest, embedded: Embedded, fit: CalibrationFit | None = None
) -> Estimated:
    """Measures the answers, recalls what the estimator needs, and estimates.

    Args:
        memory: The pools.
        request: What is asked.
        embedded: Its vectors.
        fit: Calibration of its pool, where it asks for CALIBRATED.

    Raises:
        InvalidArrayError: The vectors can't be measured.
        SpaceMismatchError: The pool lives in another embedding space.
    """
    measured = _measure(request, embedded, wanted=request.learn or fit is not None)
    return _conclude(request, measured, _recall(memory, request, embedded, measured.kind), fit)


async def estimate_together(
    memory: Memory,
    recalls: Recalls,
    worker: EstimateWorker,
    request: ScoreRequest,
    embedded: Embedded,
) -> Estimated:
    """The same on the event loop, without calibration: neighbours with those of other requests.

    Args:
        memory: The pools.
        recalls: Finds neighbours.
        worker: Asks a pool for its sums, which may wait for the writer.
        request: What is asked.
        embedded: Its vectors.

    Raises:
        InvalidArrayError: The vectors can't be measured.
        SpaceMismatchError: The pool lives in another embedding space.
    """
    measured = _measure(request, embedded, wanted=request.learn)
    if measured.kind in _NEARBY:
        recollection = await _recall_together(memory, recalls, request, embedded)
    elif measured.kind is EstimatorKind.GLOBAL:
        recollection = await worker.run_small(_recall, memory, request, embedded, measured.kind)
    else:
        recollection = _recall(memory, request, embedded, measured.kind)
    return _conclude(request, measured, recollection)


def _conclude(
    request: ScoreRequest,
    measured: Measured,
    recollection: Recollection,
    fit: CalibrationFit | None = None,
) -> Estimated:
    """Estimates from a request's answers and what its pool says."""
    began = time.perf_counter()
    answers, features, evidence = measured.answers, measured.features, recollection.evidence
    kind, fallback = measured.kind, measured.fallback
    estimate = _estimate(answers, evidence)
    calibrated = None
    if fit is not None and features is not None:
        calibrated = calibrate(estimate, features_of_request(answers, features), fit)
        estimate = calibrated.estimate
    if calibrated is None or not calibrated.outcomes:
        kind, fallback = _fallen_back(request, kind, fallback, estimate, evidence)
    return Estimated(
        answers=answers,
        features=features,
        estimate=estimate,
        calibrated=calibrated,
        kind=kind,
        fallback=fallback,
        pool_revision=recollection.revision,
        recall_seconds=recollection.seconds,
        estimate_seconds=measured.seconds + time.perf_counter() - began,
    )


def _measure(request: ScoreRequest, embedded: Embedded, *, wanted: bool) -> Measured:
    began = time.perf_counter()
    answers, features = measure_answers(request.voters, embedded.answers), None
    if wanted:
        features = measure_features(answers, embedded.prompt, embedded.answers, embedded.characters)
    kind, fallback = _resolve(request.estimator, answers)
    return Measured(answers, features, kind, fallback, time.perf_counter() - began)


def _fallen_back(
    request: ScoreRequest,
    kind: EstimatorKind,
    fallback: Fallback | None,
    estimate: Estimate,
    evidence: Neighbourhood | Totals | None,
) -> tuple[EstimatorKind, Fallback | None]:
    """Returns the estimator that ran by agreement alone, and why it was not the one wanted."""
    if kind in _RECALLING and request.neighbours > 1 and not _rests_on_recalled(estimate):
        fallback = _nothing_to_rest_on(kind, evidence)
        kind = EstimatorKind.SINGLE
    if isnan(estimate.noise_variance[estimate.order[0]]):  # so it is of all: NaN comes last
        fallback = _too_few_voters(fallback.wanted if fallback else kind)
    return kind, fallback


def _resolve(wanted: EstimatorKind, answers: Answers) -> tuple[EstimatorKind, Fallback | None]:
    several = len(answers.voter_of) > len(answers.voters)
    if wanted is EstimatorKind.AUTO:
        all_have = several and bool((answers.samples_per_voter > 1).all())
        return (EstimatorKind.SAMPLES if all_have else EstimatorKind.LOCAL), None
    if wanted is EstimatorKind.SAMPLES and not several:
        message = "No voter gave more than one answer, so each stands for itself."
        return EstimatorKind.SINGLE, Fallback(wanted, "ONE_ANSWER_PER_VOTER", message)
    return wanted, None


def _recall(
    memory: Memory, request: ScoreRequest, embedded: Embedded, kind: EstimatorKind
) -> Recollection:
    began = time.perf_counter()
    evidence: Neighbourhood | Totals | None = None
    try:
        revision = memory.revision(request.pool)
        if kind is EstimatorKind.GLOBAL:
            evidence = memory.totals(request.pool, embedded.space, without=request.sample_id)
        elif kind in _NEARBY:
            pool, space, prompt, k, own = _asked(request, embedded)
            evidence = memory.recall(pool, space, prompt, k, without=own)
    except PoolNotFoundError:
        return _NOTHING
    return Recollection(evidence, time.perf_counter() - began, revision)


async def _recall_together(
    memory: Memory, recalls: Recalls, request: ScoreRequest, embedded: Embedded
) -> Recollection:
    try:
        revision = memory.revision(request.pool)
        return Recollection(*await recalls.run(_asked(request, embedded)), revision)
    except PoolNotFoundError:
        return _NOTHING


def _asked(request: ScoreRequest, embedded: Embedded) -> Asked:
    others = request.neighbours - 1
    return Asked(request.pool, embedded.space, embedded.prompt, others, request.sample_id)


def _estimate(answers: Answers, evidence: Neighbourhood | Totals | None) -> Estimate:
    if isinstance(evidence, Neighbourhood):
        return estimate_local(answers, evidence)
    if isinstance(evidence, Totals):
        return estimate_global(answers, evidence)
    return estimate_alone(answers)


def _rests_on_recalled(estimate: Estimate) -> bool:
    """Whether a voter has more samples than the current one, which counts from two voters on."""
    most: int = max(estimate.samples_used.tolist())
    return most > (len(estimate.voters) > 1)


def _nothing_to_rest_on(wanted: EstimatorKind, evidence: Neighbourhood | Totals | None) -> Fallback:
    if evidence is None or not evidence.voters:
        return Fallback(wanted, "POOL_EMPTY", "The pool holds no sample to rest on yet.")
    message = "No sample recalled has two voters of which one is of this request."
    return Fallback(wanted, "NO_COMMON_VOTERS", message)


def _too_few_voters(wanted: EstimatorKind) -> Fallback:
    message = (
        "Agreement can't tell fewer than three voters apart; they are in the order of the request."
    )
    return Fallback(wanted, "TOO_FEW_VOTERS", message)
