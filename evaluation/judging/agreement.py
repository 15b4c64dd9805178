"""Ways that need no label: the noise of each voter, from how far the answers lie apart."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.judging.embedded import EmbeddedAnswers
from evaluation.judging.ways import Choices, Kind, Way, first_present
from scoring.answers import measure_answers
from scoring.dataset import NoiseFit, fit_global, fit_local
from scoring.estimator import estimate_alone
from scoring.reference import reference_weights

GLOBAL, SINGLE, SAMPLES = "Smoothie global", "Smoothie single", "Smoothie samples"
REFERENCE = ", authors' formula"
_ROUNDING = 1e-9


def agreement_ways(
    embedded: EmbeddedAnswers, neighbours: Sequence[int], *, reference: bool = True
) -> Iterator[Way]:
    """Yields Smoothie on each prompt alone, its neighbours and all, and on several samples.

    Args:
        embedded: The answers and where they lie.
        neighbours: For Local, how many nearest prompts, the prompt itself included.
        reference: Whether to yield the authors' own choice beside ours where the two differ
            in some prompt.
    """
    given = embedded.judged.answered
    fits = {GLOBAL: _of_all(fit_global(embedded.answers, given), len(embedded.prompts))}
    fits[SINGLE] = fit_local(embedded.answers, embedded.nearest[:, :1], given)
    for count in neighbours:
        fits[local(count)] = fit_local(embedded.answers, embedded.nearest[:, :count], given)
    for name, fit in fits.items():
        yield from _both(name, fit, embedded.judged.present, reference=reference)
    if embedded.further:
        yield _samples(embedded)


def local(neighbours: int) -> str:
    """Returns the name of Local on so many neighbours."""
    return f"Smoothie local {neighbours}"


def _of_all(fit: NoiseFit, prompts: int) -> NoiseFit:
    shape = prompts, len(fit.order)
    return NoiseFit(
        np.broadcast_to(fit.noise_variance, shape),
        np.broadcast_to(fit.weight, shape),
        np.broadcast_to(fit.order, shape),
    )


def _both(
    name: str, fit: NoiseFit, present: NDArray[np.bool_], *, reference: bool
) -> Iterator[Way]:
    voters = present.shape[1]
    ours = first_present(fit.order, present)
    yield Way.choosing(name, Kind.AGREEMENT, ours, voters)
    if not reference:
        return
    theirs, defined = authors_choices(fit.noise_variance, present)
    if (theirs != ours).any():
        differ = defined & (theirs != ours)
        tied = _tied(fit.noise_variance, ours, theirs)
        note = (
            f"defined for {int(defined.sum())} of {len(ours)} prompts, where it differs from "
            f"ours {int((differ & ~tied).sum())} times, and {int((differ & tied).sum())} more "
            "where the two are tied"
        )
        yield Way.choosing(name + REFERENCE, Kind.AGREEMENT, theirs, voters, note)


def _tied(noise: NDArray[np.float64], first: Choices, second: Choices) -> NDArray[np.bool_]:
    """Returns (n,) whether the noises of two choices differ by rounding alone."""
    rows = np.arange(len(noise))
    apart = np.abs(noise[rows, first] - noise[rows, second])
    return np.asarray(apart <= _ROUNDING * np.nanmax(np.abs(noise), axis=1), np.bool_)


def authors_choices(
    noise: NDArray[np.float64], present: NDArray[np.bool_]
) -> tuple[Choices, NDArray[np.bool_]]:
    """Returns what the authors' weights choose, and where those are defined.

    Args:
        noise: (n, K) noise variances.
        present: (n, K) bool, who answered.

    Returns:
        (n,) voter of the largest weight d / (2 noise) over the sum of those of the voters
        that answered, NaN being the largest, as `argmax` has it; and (n,) bool, whether
        the noise of each of them is positive.
    """
    choices = np.empty(len(noise), np.int64)
    for row, (noises, here) in enumerate(zip(noise, present, strict=True)):
        among = np.flatnonzero(here)
        choices[row] = among[np.argmax(reference_weights(noises[among], dimension=1))]
    return choices, np.asarray((~present | (noise > 0)).all(axis=1), np.bool_)


def _samples(embedded: EmbeddedAnswers) -> Way:
    """Rests on several answers of each voter; delivers the first of the voter that it chooses."""
    rows = zip(embedded.answers, embedded.further, embedded.judged.present, strict=True)
    choices = np.array([_of_samples(*row) for row in rows], np.int64)
    return Way.choosing(SAMPLES, Kind.AGREEMENT, choices, len(embedded.judged.voters))


def _of_samples(
    first: NDArray[np.float32],
    further: Sequence[NDArray[np.float32]],
    present: NDArray[np.bool_],
) -> int:
    voters, vectors = [], []
    for column in np.flatnonzero(present).tolist():
        both = np.concatenate([first[column : column + 1], further[column]])
        voters += [str(column)] * len(both)
        vectors.append(both)
    estimate = estimate_alone(measure_answers(voters, np.concatenate(vectors)))
    return int(estimate.voters[estimate.order[0]])
