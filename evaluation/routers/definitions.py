"""How to read the report: what its words mean."""

from evaluation.report import Definition
from evaluation.routers.standings import RoutingEvaluation


def definitions_of(evaluation: RoutingEvaluation) -> tuple[Definition, ...]:
    """Returns the words that the report of this evaluation uses."""
    wanted = [*_ALWAYS]
    if evaluation.zero is not None:
        wanted += _OF_COSTS
    if any(each.reliability or each.quality for each in evaluation.facts):
        wanted += _OF_CALIBRATION
    if evaluation.routers:
        wanted += _OF_ROUTERS
    return tuple(Definition(term, meaning) for term, meaning in wanted)


_ALWAYS = (
    (
        "Accuracy",
        "The mean score of the chosen models on the prompts of a task, then the mean over the "
        "tasks, each with equal weight however many prompts it has.",
    ),
    (
        "95 % interval",
        "Where the figure may as well have been with other prompts of the same kind: the prompts "
        "of each task were drawn anew 2,000 times; a task of one prompt has none of its own. An "
        "interval of a difference that holds 0 means that the difference may be chance.",
    ),
    (
        "Best single",
        "Always calling one model: the one with the best average on the training rows, or on "
        "these prompts where there were none.",
    ),
    (
        "Best model per task",
        "Calling for every prompt the model that was best on its task in the training rows: what "
        "knowing the task alone is worth. A router must find the task out by itself.",
    ),
    ("Random", "A model drawn for every prompt, on expectation."),
    (
        "Majority voting",
        "Asking all models, and counting a prompt as right where more than half of them are "
        "right. It costs what all of them cost.",
    ),
    (
        "Oracle",
        "The best model of every prompt, or of every task, picked with the scores in hand. Nobody "
        "can have it; it bounds what routing may gain.",
    ),
    (
        "Gap closed",
        "How far a way to choose gets from the best single model to the oracle per prompt.",
    ),
)
_OF_COSTS = (
    (
        "Area (AIQ)",
        "The mean height of a router's cost-quality hull between the costs of the cheapest and "
        "the dearest model (RouterBench, Hu et al. 2024). The points come from giving up more and "
        "more score for a lower cost.",
    ),
    (
        "Zero router",
        "The hull of the single models: what can be had by drawing between two of them, without "
        "looking at the prompt. A router that isn't above it earns nothing.",
    ),
)
_OF_CALIBRATION = (
    (
        "ECE",
        "Expected calibration error: the mean distance between what a router says of its choice "
        "and what came, in 15 ranges (Guo et al. 2017). It says how probable the model is to be "
        "the best one, which models that tie share, and may say how good the answer will be.",
    ),
)
_OF_ROUTERS = (
    (
        "Upper bound",
        "What the router's scores would allow, if the last choice among its two, three, or "
        "confident favourites were perfect (SelectLLM).",
    ),
    (
        "p50, p99",
        "The time within which half, or 99 %, of single prompts were routed on this machine, "
        "encoding included.",
    ),
)
