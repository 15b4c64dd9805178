"""Every way to choose, for any of the voters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.judging.agreement import agreement_ways
from evaluation.judging.calibrating import calibrated_way
from evaluation.judging.embedded import EmbeddedAnswers
from evaluation.judging.labelled import LabelledScores
from evaluation.judging.pairwise import PairwiseWins
from evaluation.judging.ways import Kind, Way, bounds, models, simple_ways


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """What all ways need to know, of n prompts and V voters.

    Attributes:
        embedded: The answers, the judgements, and where all lie.
        neighbours: For Smoothie-Local, how many nearest prompts; one way for each.
        labelled: What other prompts' labels say; None where there are none to learn from.
        pairwise: What each pairwise ranker says of every two answers.
    """

    embedded: EmbeddedAnswers
    neighbours: Sequence[int]
    labelled: LabelledScores | None = None
    pairwise: Sequence[PairwiseWins] = ()

    @property
    def voters(self) -> int:
        """V."""
        return len(self.embedded.judged.voters)

    def every_way(self) -> Iterator[Way]:
        """Yields the ways among all voters, each model alone, and the authors' own formula."""
        everybody = np.arange(self.voters)
        yield from self.ways(everybody, reference=True)
        yield from models(self.embedded.judged)

    def ways(self, columns: NDArray[np.int64], *, reference: bool = False) -> Iterator[Way]:
        """Yields the ways among some voters, under the same names whichever they are.

        Args:
            columns: (K,) the voters.
            reference: Whether to yield the authors' choice where it differs from ours.
        """
        among = self.embedded.of_voters(columns)
        yield from simple_ways(among.judged)
        yield from bounds(among.judged)
        yield from agreement_ways(among, self.neighbours, reference=reference)
        if self.labelled is not None:
            yield from self.labelled.ways(columns, among.judged.present)
            weighed = calibrated_way(among, self.labelled.draws, self.labelled.labels)
            yield from [weighed] if weighed is not None else []
        for each in self.pairwise:
            strengths = each.strengths(columns)
            choice = np.where(among.judged.present, strengths, -np.inf).argmax(axis=1)
            yield Way.choosing(each.name, Kind.PAIRWISE, choice, len(columns))
