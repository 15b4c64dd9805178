"""A judge's preferences, in the form of AlpacaEval, joined to the answers that were judged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import UnreadableDataError
from evaluation.generations import ALPACA_EVAL, read_generations
from evaluation.rows import Row, read_rows

DRAW = 0.5
_LEAST, _MOST = 1.0, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class JudgedAnswers:
    """n prompts, each answered by the same K voters, and the judge's word on each.

    Attributes:
        voters: Names of the K voters.
        prompts: The n prompts.
        texts: Per prompt, the K answers.
        wins: (n, K) float64, the probability that the answer beats the judge's
            reference answer, or another quality in [0, 1]; NaN where it was not judged.
        answered: (n, K) bool, who answered; None where everybody did. The text of
            one who did not is empty, and its win NaN.
        further: Per prompt and voter, the answers beside the first, which alone is
            judged; empty where nobody has any.
    """

    voters: tuple[str, ...]
    prompts: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    wins: NDArray[np.float64]
    answered: NDArray[np.bool_] | None = None
    further: tuple[tuple[tuple[str, ...], ...], ...] = ()

    @property
    def present(self) -> NDArray[np.bool_]:
        """(n, K) bool, who answered."""
        everybody = np.ones(self.wins.shape, np.bool_)
        return everybody if self.answered is None else self.answered

    def of_voters(self, columns: NDArray[np.int64]) -> "JudgedAnswers":
        """Keeps some voters, in the order given, and every prompt."""
        return JudgedAnswers(
            tuple(self.voters[column] for column in columns),
            self.prompts,
            tuple(tuple(row[column] for column in columns) for row in self.texts),
            self.wins[:, columns],
            None if self.answered is None else self.answered[:, columns],
            tuple(tuple(row[column] for column in columns) for row in self.further),
        )

    def of(self, voters: Sequence[str]) -> "JudgedAnswers":
        """Keeps the voters of these names and the prompts that one of them answered."""
        columns = np.array([self.voters.index(voter) for voter in voters], np.int64)
        kept = self.of_voters(columns)
        return kept.rows(np.flatnonzero(kept.present.any(axis=1)))

    def first(self, limit: int | None) -> "JudgedAnswers":
        """Keeps the first prompts; all if None."""
        return self.rows(np.arange(len(self.prompts))[:limit])

    def rows(self, indexes: NDArray[np.int64]) -> "JudgedAnswers":
        """Keeps some prompts, in the order given."""
        return JudgedAnswers(
            self.voters,
            tuple(self.prompts[row] for row in indexes),
            tuple(self.texts[row] for row in indexes),
            self.wins[indexes],
            None if self.answered is None else self.answered[indexes],
            tuple(self.further[row] for row in indexes) if self.further else (),
        )


def win_probability(preference: float | None) -> float:
    """Turns a preference of AlpacaEval into a probability of winning.

    Args:
        preference: 1 where the judge prefers the reference answer, 2 where it
            prefers the model's, in between where it is not sure; 0 is a draw,
            and None a missing judgement.

    Returns:
        The preference less 1, 0.5 for a draw, NaN where it is missing.

    Raises:
        UnreadableDataError: The preference is none of these.
    """
    if preference is None:
        return math.nan
    if preference == 0:
        return DRAW
    if not _LEAST <= preference <= _MOST:
        raise UnreadableDataError(
            f"{preference} is not a preference; give 1 to 2, 0 for a draw, or null."
        )
    return preference - _LEAST


def read_preferences(file: Path) -> dict[str, float]:
    """Reads an `annotations.json` as the probability of winning by instruction.

    Raises:
        UnreadableDataError: A row can't be read; the message names it.
    """
    wins: dict[str, float] = {}
    for row in read_rows(file):
        if not isinstance(row, Row):
            raise UnreadableDataError(str(row))
        instruction, preference = _annotation(row)
        wins[instruction] = win_probability(preference)
    return wins


def read_judged(folder: Path) -> JudgedAnswers:
    """Reads a folder with a `model_outputs.json` and `annotations.json` per model.

    Only prompts that every model answered are kept.

    Raises:
        UnreadableDataError: There is no such file, or a row of one can't be read.
    """
    files = sorted(folder.glob("*/model_outputs.json"))
    if not files:
        raise UnreadableDataError(f"{folder} holds no */model_outputs.json; name another folder.")
    voters = tuple(file.parent.name for file in files)
    outputs = [_outputs(file) for file in files]
    judged = [read_preferences(file.parent / "annotations.json") for file in files]
    prompts = tuple(prompt for prompt in outputs[0] if all(prompt in each for each in outputs))
    return JudgedAnswers(
        voters,
        prompts,
        tuple(tuple(each[prompt] for each in outputs) for prompt in prompts),
        _wins(prompts, judged),
    )


def _annotation(row: Row) -> tuple[str, float | None]:
    record = row.value
    if isinstance(record, dict) and isinstance(record.get("instruction"), str):
        preference = record.get("preference")
        if preference is None or (type(preference) in {int, float}):
            return record["instruction"], preference
    raise UnreadableDataError(f"{row.file}, {row.place}: is not an instruction with a preference.")


def _outputs(file: Path) -> dict[str, str]:
    ensembles = read_generations([file], ALPACA_EVAL, strict=True).ensembles
    return {each.prompt: each.generations[0].text for each in ensembles}


def _wins(prompts: Sequence[str], judged: Sequence[dict[str, float]]) -> NDArray[np.float64]:
    wins = [[each.get(prompt, math.nan) for each in judged] for prompt in prompts]
    return np.array(wins, np.float64).reshape(len(prompts), len(judged))
