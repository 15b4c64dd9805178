"""What a scored data set says: one JSON object per prompt, and a line per voter."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from evaluation.generations import voters_of
from evaluation.offline import ScoredEnsemble


def ranked_lines(scored: Iterable[ScoredEnsemble]) -> Iterator[str]:
    """Writes one line of JSON per prompt; a number that is not defined is null.

    Yields:
        Lines that end in a line feed. `best.index` and `scores` follow the
        prompt's generations in their order.
    """
    for each in scored:
        yield json.dumps(ranked_record(each), ensure_ascii=False, allow_nan=False) + "\n"


def ranked_record(scored: ScoredEnsemble) -> dict[str, object]:
    """Returns the ranked answers to one prompt as a JSON object."""
    generations, best = scored.ensemble.generations, scored.ranking.best_index
    return {
        "prompt": scored.ensemble.prompt,
        "best": {
            "voter": generations[best].voter,
            "text": generations[best].text,
            "index": int(best),
        },
        "scores": [_score(scored, index) for index in range(len(generations))],
        "estimator": str(scored.estimator),
        "neighbours_used": int(scored.estimate.neighbours_used),
        "margin": _finite(scored.estimate.margin),
    }


def _score(scored: ScoredEnsemble, index: int) -> dict[str, object]:
    noise = scored.estimate.noise_variance[scored.answers.voter_of[index]]
    return {
        "voter": scored.ensemble.generations[index].voter,
        "weight": _finite(scored.ranking.weight[index]),
        "noise_variance": _finite(noise),
        "rank": int(scored.ranking.rank[index]),
    }


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class VoterSummary:
    """One voter over a data set.

    Attributes:
        voter: Its name.
        prompts: How many prompts it answered.
        noise_variance: Mean over the prompts where it is defined; NaN if nowhere.
        weight: Mean over the prompts where it is defined; NaN if nowhere.
        best: How often its answer was chosen.
        share: `best` over `prompts`.
    """

    voter: str
    prompts: int
    noise_variance: float
    weight: float
    best: int
    share: float


def summarise_voters(scored: Sequence[ScoredEnsemble]) -> tuple[VoterSummary, ...]:
    """Returns a summary of each voter, the one that was chosen most often first."""
    names = voters_of(each.ensemble for each in scored)
    summaries = (_summary(name, scored) for name in names)
    return tuple(sorted(summaries, key=lambda each: -each.best))


def _summary(voter: str, scored: Sequence[ScoredEnsemble]) -> VoterSummary:
    answered = [each for each in scored if voter in each.estimate.voters]
    at = [each.estimate.voters.index(voter) for each in answered]
    best = sum(_chosen(each) == voter for each in answered)
    return VoterSummary(
        voter=voter,
        prompts=len(answered),
        noise_variance=_mean(
            each.estimate.noise_variance[i] for each, i in zip(answered, at, strict=True)
        ),
        weight=_mean(each.estimate.weight[i] for each, i in zip(answered, at, strict=True)),
        best=best,
        share=best / len(answered),
    )


def _chosen(scored: ScoredEnsemble) -> str:
    return scored.ensemble.generations[scored.ranking.best_index].voter


def _mean(numbers: Iterable[float]) -> float:
    defined = [number for number in numbers if math.isfinite(number)]
    return math.fsum(defined) / len(defined) if defined else math.nan
