"""How well each model did on each prompt: tables of scores, from files in any of several shapes."""

from evaluation.scores.fields import ScoreFields
from evaluation.scores.reading import PromptReading, ScoreReading, read_prompts, read_scores
from evaluation.scores.table import ScoreTable

__all__ = [
    "PromptReading",
    "ScoreFields",
    "ScoreReading",
    "ScoreTable",
    "read_prompts",
    "read_scores",
]
