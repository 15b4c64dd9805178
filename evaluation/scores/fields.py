"""What the parts of a record are called, and what is wrong with one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoreFields:
    """Where the parts of a record stand.

    JSON and nested Parquet have an object of scores and one of costs; CSV and flat
    Parquet have a column per model.

    Attributes:
        prompt: What was asked.
        task: What the prompt is an example of, as in `gsm8k`; it may be absent.
        scores: The object of scores by model.
        costs: The object of costs by model; it may be absent.
        score_prefix: What the name of a column of scores begins with; the model's
            name is the rest.
        cost_prefix: The same for costs.
        score_columns: Columns of scores whose whole name is the model's.
        responses: The object of answers by model, which only RouterBench's tables
            have; not read if empty.
    """

    prompt: str = "prompt"
    task: str = "task"
    scores: str = "scores"
    costs: str = "costs"
    score_prefix: str = "score:"
    cost_prefix: str = "cost:"
    score_columns: tuple[str, ...] = ()
    responses: str = ""


class RecordError(Exception):
    """What is wrong with a record or with a header, as a predicate."""
