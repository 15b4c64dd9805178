"""Judged answers with their vectors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evaluation.preferences import JudgedAnswers
from evaluation.texts import EncodedTexts, Progress, TextEncoder
from scoring.dataset import nearest_prompts


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedAnswers:
    """n prompts with the answers of K voters, and where all of them lie.

    Attributes:
        judged: The texts, and the judgements.
        prompts: (n, d) float32.
        answers: (n, K, d) float32 of the first answer of each voter; 0 where there is none.
        further: Per prompt and voter, (s, d) float32 of the answers beside the first;
            empty where nobody has any.
        nearest: (n, k) int64, the nearest prompts of each, itself first.
        truncated: How many distinct texts were longer than the encoder reads.
    """

    judged: JudgedAnswers
    prompts: NDArray[np.float32]
    answers: NDArray[np.float32]
    further: tuple[tuple[NDArray[np.float32], ...], ...]
    nearest: NDArray[np.int64]
    truncated: int = 0

    @classmethod
    def of(
        cls,
        judged: JudgedAnswers,
        encoder: TextEncoder,
        most_neighbours: int,
        progress: Progress | None = None,
    ) -> Self:
        """Encodes every distinct text once.

        Args:
            judged: What to encode.
            encoder: Makes vectors of texts.
            most_neighbours: How many nearest prompts to find, the prompt itself included.
            progress: Called as texts are encoded.
        """
        texts = EncodedTexts(_all_texts(judged), encoder, progress)
        prompts = texts.of(judged.prompts)
        answers = np.stack([texts.of(row) for row in judged.texts])
        answers[~judged.present] = 0
        further = tuple(tuple(texts.of(each) for each in row) for row in judged.further)
        nearest = nearest_prompts(prompts, most_neighbours)
        return cls(judged, prompts, answers, further, nearest, texts.truncated)

    def of_voters(self, columns: NDArray[np.int64]) -> "EmbeddedAnswers":
        """Keeps some voters, in the order given, and every prompt."""
        return EmbeddedAnswers(
            self.judged.of_voters(columns),
            self.prompts,
            np.ascontiguousarray(self.answers[:, columns]),
            tuple(tuple(row[column] for column in columns) for row in self.further),
            self.nearest,
            self.truncated,
        )


def _all_texts(judged: JudgedAnswers) -> Iterator[str]:
    yield from judged.prompts
    for row in judged.texts:
        yield from row
    for samples in judged.further:
        for each in samples:
            yield from each
