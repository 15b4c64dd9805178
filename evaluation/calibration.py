"""What a threshold between a strong and a weak model gives on real prompts."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from evaluation.bootstrap import Interval
from evaluation.routing import RoutingReport, accuracy
from evaluation.routing_tables import finite, interval_record, percent, plain, spread
from evaluation.scores.table import ScoreTable
from scoring.policies import share_at, strong_leads, threshold_for_share
from scoring.routers import RouterScores


@dataclass(frozen=True, slots=True)
class PairAccuracy:
    """Averages over the tasks with equal weight.

    Attributes:
        at_threshold: Of the prompts as the threshold divides them.
        always_strong: Of the strong model alone.
        always_weak: Of the weak model alone.
        at_random: On expectation, where the same share is drawn at random.
    """

    at_threshold: Interval
    always_strong: Interval
    always_weak: Interval
    at_random: float


@dataclass(frozen=True, slots=True)
class ThresholdReport:
    """A threshold for the policy of that name.

    Attributes:
        strong: The dearer model.
        weak: The cheaper model.
        wanted_share: Of calls to the strong model, that was asked for.
        threshold: Least lead in score for a call to the strong model.
        share: Of these prompts that go to the strong model.
        prompts: How many they are.
        mean_cost: Of a call at the threshold; NaN where a cost is unknown.
        accuracy: None where the prompts have no scores.
    """

    strong: str
    weak: str
    wanted_share: float
    threshold: float
    share: float
    prompts: int
    mean_cost: float
    accuracy: PairAccuracy | None


def calibrate_threshold(
    scores: RouterScores,
    pair: tuple[str, str],
    share: float,
    table: ScoreTable | None = None,
    positive_tasks: Collection[str] = (),
    costs: Mapping[str, float] | None = None,
    *,
    seed: int = 0,
) -> ThresholdReport:
    """Finds the threshold for a share of calls, and what it does to accuracy.

    Args:
        scores: Of the router, for n prompts.
        pair: The strong model and the weak one.
        share: Greatest share of strong calls, from 0 to 1.
        table: What the models reach on the same n prompts, where it is known.
        positive_tasks: Tasks in which a score above 0 counts as 1.
        costs: Of a call, by model.
        seed: Makes the intervals repeatable.

    Raises:
        UnknownModelError: The router does not know one of the two.
        InvalidArrayError: The share is out of range, or a prompt has no score.
        UnreadableDataError: The table lacks one of the two, or a positive task.
    """
    strong, weak = pair
    leads = strong_leads(scores.models, scores.scores, strong, weak)
    threshold = threshold_for_share(leads, share)
    got = share_at(leads, threshold)
    known = costs or {}
    cost = got * known.get(strong, np.nan) + (1 - got) * known.get(weak, np.nan)
    measured = None
    if table is not None:
        choices = np.where(leads >= threshold, 0, 1)
        measured = accuracy(table.select(pair), choices, positive_tasks, seed=seed)
    compared = _compared(measured, got) if measured else None
    return ThresholdReport(strong, weak, share, threshold, got, leads.size, cost, compared)


def threshold_record(report: ThresholdReport) -> dict[str, object]:
    """Returns the report as a JSON object; what is not known is null."""
    record: dict[str, object] = asdict(report)
    record["mean_cost"] = finite(report.mean_cost)
    if each := report.accuracy:
        record["accuracy"] = {
            "at_threshold": interval_record(each.at_threshold),
            "always_strong": interval_record(each.always_strong),
            "always_weak": interval_record(each.always_weak),
            "at_random": finite(each.at_random),
        }
    return record


def threshold_table(report: ThresholdReport) -> Group:
    """Returns the threshold in words, and a table of what it does to accuracy."""
    cost = f", {report.mean_cost:.3g} a call" if np.isfinite(report.mean_cost) else ""
    parts: list[Text | Table] = [
        Text(f"threshold {report.threshold!r}"),
        Text(
            f"{report.share:.1%} of {report.prompts} prompts go to {report.strong}, "
            f"at most {report.wanted_share:.1%} were wanted{cost}."
        ),
    ]
    if report.accuracy:
        parts.append(_accuracy_table(report, report.accuracy))
    return Group(*parts)


def _accuracy_table(report: ThresholdReport, compared: PairAccuracy) -> Table:
    table = Table(title="Accuracy in %, average over tasks", title_justify="left")
    table.add_column("Calls", overflow="fold")
    for title in ("Accuracy", "95 % interval"):
        table.add_column(title, justify="right")
    for name, interval in (
        (f"always {plain(report.weak)}", compared.always_weak),
        ("at the threshold", compared.at_threshold),
        (f"always {plain(report.strong)}", compared.always_strong),
    ):
        table.add_row(name, percent(interval.mean), spread(interval))
    table.add_row("the same share at random", percent(compared.at_random), "")
    return table


def _compared(report: RoutingReport, share: float) -> PairAccuracy:
    strong, weak = (way.average for way in report.models)
    at_random = share * strong.mean + (1 - share) * weak.mean
    return PairAccuracy(report.chosen.average, strong, weak, at_random)
