"""How a data set is scored: the choices, and nothing that is slow to import."""

import enum
from dataclasses import dataclass


class Estimator(enum.StrEnum):
    """How noise is estimated."""

    GLOBAL = "global"
    """One noise per voter over the whole data set (Smoothie-Global)."""
    LOCAL = "local"
    """Noise over the nearest prompts, the prompt itself included (Smoothie-Local)."""
    SINGLE = "single"
    """Noise from the answers to the prompt alone."""
    SAMPLES = "samples"
    """As `single`, several answers per voter standing in for neighbours."""


class Embedding(enum.StrEnum):
    """What of an answer is embedded."""

    GENERATION = "generation"
    """The answer alone."""
    PROMPT_AND_GENERATION = "prompt-and-generation"
    """Prompt, line feed and answer as one text."""


class Formula(enum.StrEnum):
    """How noise becomes a choice."""

    POINTSMAN = "pointsman"
    """Least noise first: defined everywhere."""
    REFERENCE = "reference"
    """The authors' weight d / (2 noise), normalised, largest first: for comparison."""


@dataclass(frozen=True, slots=True)
class Method:
    """One way to score a data set.

    Attributes:
        estimator: How noise is estimated.
        neighbours: Prompts that Local rests on, the prompt itself included; at
            least 1. No other estimator reads it.
        embedding: What of an answer is embedded.
        formula: How noise becomes a choice.
    """

    estimator: Estimator = Estimator.GLOBAL
    neighbours: int = 20
    embedding: Embedding = Embedding.GENERATION
    formula: Formula = Formula.POINTSMAN
