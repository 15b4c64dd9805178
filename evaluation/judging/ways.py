"""Ways to choose among the answers to a prompt, and what each comes to."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import ratio
from evaluation.preferences import JudgedAnswers
from evaluation.ways import mean_of
from evaluation.win_rate import best_single, longest_choice

Floats = NDArray[np.float64]
Choices = NDArray[np.int64]

RANDOM, LONGEST, BEST_SINGLE, ORACLE = "random", "longest answer", "best single", "oracle"


class Kind(enum.StrEnum):
    """What a way must know before it can choose."""

    BOUND = "bound"
    """The judgements that it is measured by: no way to choose, but a bound of one."""
    SIMPLE = "simple"
    """Nothing but the answers themselves, looked at with no model."""
    AGREEMENT = "agreement"
    """How far the answers lie from each other, and no label."""
    LABELS = "labels"
    """Judgements of other prompts."""
    PAIRWISE = "pairwise"
    """What a model or a judge says of each two answers."""
    MODEL = "model"
    """One voter for every prompt."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way to choose.

    Attributes:
        name: For people.
        kind: What it must know.
        shares: (n, K) float64, the probability of choosing each voter; a row sums to 1,
            and is 0 for voters that did not answer.
        note: What a reader must know of it.
    """

    name: str
    kind: Kind
    shares: Floats
    note: str = ""

    @classmethod
    def choosing(cls, name: str, kind: Kind, choices: Choices, voters: int, note: str = "") -> Self:
        """Makes a way of one (n,) choice for each prompt."""
        shares = np.zeros((len(choices), voters))
        shares[np.arange(len(choices)), choices] = 1.0
        return cls(name, kind, shares, note)

    def outcomes(self, wins: Floats) -> Floats:
        """Returns the (n,) expected quality of what is chosen, NaN where no choice is judged.

        Where only some of what it may choose is judged, it is the mean over those.
        """
        judged = ~np.isnan(wins) & (self.shares > 0)
        weight = np.where(judged, self.shares, 0.0)
        return ratio((weight * np.where(judged, wins, 0.0)).sum(axis=1), weight.sum(axis=1))


def simple_ways(judged: JudgedAnswers) -> Iterator[Way]:
    """Yields what every way must beat: random and the longest answer."""
    present = judged.present
    yield Way(RANDOM, Kind.SIMPLE, present / present.sum(axis=1, keepdims=True))
    longest = [
        [text if here else "" for text, here in zip(texts, row, strict=True)]
        for texts, row in zip(judged.texts, present, strict=True)
    ]
    choice = first_present(np.argsort(~present, axis=1, kind="stable"), present)
    some = np.array([any(row) for row in longest])
    choice = np.where(some, longest_choice(longest), choice)
    yield Way.choosing(LONGEST, Kind.SIMPLE, choice, len(judged.voters))


def bounds(judged: JudgedAnswers) -> Iterator[Way]:
    """Yields what nobody can have without the judgements: the best single model, the oracle.

    Where the best single model did not answer, the next best that did stands in.
    """
    wins, present = judged.wins, judged.present
    rates = mean_of(wins)
    order = np.argsort(np.where(np.isnan(rates), np.inf, -rates), kind="stable")
    best = best_single(wins)
    order = np.concatenate(([best], order[order != best]))
    choice = first_present(np.broadcast_to(order, wins.shape), present)
    note = f"{judged.voters[best]}, found with the judgements themselves"
    yield Way.choosing(BEST_SINGLE, Kind.BOUND, choice, wins.shape[1], note)
    likes = np.where(np.isnan(wins), np.where(present, -1.0, -2.0), wins)
    yield Way.choosing(ORACLE, Kind.BOUND, likes.argmax(axis=1), wins.shape[1])


def models(judged: JudgedAnswers) -> Iterator[Way]:
    """Yields each voter alone, over the prompts that it answered; its row is 0 elsewhere."""
    for column, voter in enumerate(judged.voters):
        shares = np.zeros(judged.wins.shape)
        shares[:, column] = judged.present[:, column]
        yield Way(voter, Kind.MODEL, shares)


def first_present(order: NDArray[np.int64], present: NDArray[np.bool_]) -> Choices:
    """Returns the (n,) first voter of each row of an order that answered.

    Args:
        order: (n, K) int64, voters from the best to the worst.
        present: (n, K) bool, who answered; at least one in each row.
    """
    place = np.take_along_axis(present, order, axis=1).argmax(axis=1)
    return np.asarray(np.take_along_axis(order, place[:, None], axis=1)[:, 0], np.int64)
