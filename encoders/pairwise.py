"""A cross-encoder that reads a prompt and two answers, and says which answer is better.

PairRM of LLM-Blender (Jiang, Ren and Lin, ACL 2023) is such a one. See `docs/pairwise.md`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from encoders.batches import group_by_length, pad
from encoders.cpu import cpu_limit
from encoders.errors import EncoderInvalidError
from encoders.files import read_object, sha256_of, whole_number
from encoders.pairwise_template import PairTokeniser, Template
from encoders.session import Network, Provider

LOGITS = "logits"
"""Name of the model's output."""


@dataclass(frozen=True, slots=True)
class PairRanker:
    """A pairwise ranker on ONNX Runtime; threads may share it."""

    tokeniser: PairTokeniser
    network: Network
    template: Template
    pad_id: int
    revision: str
    """16 hex characters of a SHA-256 over model, tokenizer and template."""

    @classmethod
    def load(
        cls, directory: Path, *, provider: Provider = Provider.AUTO, threads: int | None = None
    ) -> Self:
        """Loads a ranker and runs it once.

        Args:
            directory: Holds model.onnx, tokenizer.json, config.json and pairwise.json.
            provider: Where the model runs.
            threads: Of ONNX Runtime; `cpu_limit()` if None.

        Raises:
            EncoderNotFoundError: A file is missing.
            EncoderInvalidError: A file is damaged, or the files do not fit together.
            ProviderUnavailableError: CUDA was asked for and is not usable.
        """
        if threads is not None and threads < 1:
            raise EncoderInvalidError(f"threads is {threads}; give at least 1", field="threads")
        template = Template.read(directory / "pairwise.json")
        config = directory / "config.json"
        model, tokenizer = directory / "model.onnx", directory / "tokenizer.json"
        ranker = cls(
            tokeniser=PairTokeniser.load(tokenizer, template),
            network=Network.load(
                model, provider=provider, threads=threads or cpu_limit(), output=LOGITS
            ),
            template=template,
            pad_id=whole_number(read_object(config), "pad_token_id", config, least=0) or 0,
            revision=sha256_of([*_model_files(directory), tokenizer], repr(template))[:16],
        )
        _probe(ranker, model)
        return ranker

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider really in use."""
        return self.network.provider

    @property
    def concurrency(self) -> int:
        """1: the threads of ONNX Runtime share one prompt's pairs."""
        return 1

    def compare(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float64]:
        """Compares every two answers, in both orders.

        Both orders' logits are averaged, as PairRM's own ranking does, before they become
        probabilities. Equal texts are compared once, and tie.

        Args:
            prompt: What was asked.
            answers: g of them, at least one.

        Returns:
            (g, g) float64, the probability that the answer of the row beats that of the
            column; 0.5 on the diagonal, and mirrored entries sum to 1.

        Raises:
            EncoderInvalidError: The model gave NaN or infinity.
        """
        distinct = list(dict.fromkeys(answers))
        row = {answer: place for place, answer in enumerate(distinct)}
        logits = self.logits(prompt, distinct)
        leads = (logits - logits.T) / 2
        # One side of each pair is computed and the other taken from it, so that they sum to 1.
        wins = np.triu(_sigmoid(leads), 1)
        wins += np.tril(1 - wins.T, -1) + np.eye(len(distinct)) / 2
        places = [row[answer] for answer in answers]
        found: NDArray[np.float64] = wins[np.ix_(places, places)]
        return found

    def logits(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float64]:
        """The model's own numbers, for each order apart.

        Args:
            prompt: What was asked.
            answers: g of them.

        Returns:
            (g, g) float64, the logit that the answer of the row, read first, beats that of
            the column, read second; 0 on the diagonal, which isn't run.

        Raises:
            EncoderInvalidError: The model gave NaN or infinity.
        """
        pairs = list(itertools.permutations(range(len(answers)), 2))
        rows = self.tokeniser.pairs(prompt, answers, pairs)
        lengths = np.array([row.size for row in rows], dtype=np.int64)
        found = np.zeros((len(answers), len(answers)))
        for chosen in group_by_length(lengths, self.network.limits):
            ids, mask = pad([rows[index] for index in chosen], self.pad_id)
            leads = _first_over_second(self.network.run(ids, mask), self.template)
            for index, lead in zip(chosen, leads.tolist(), strict=True):
                found[pairs[index]] = lead
        if not np.isfinite(found).all():
            message = "the ranker gave NaN or infinity; its model is damaged, export it again"
            raise EncoderInvalidError(message)
        return found


def _first_over_second(output: NDArray[np.float32], template: Template) -> NDArray[np.float64]:
    """One logit for each pair, from one number or one for each answer."""
    numbers = output.reshape(len(output), -1).astype(np.float64)
    if numbers.shape[1] > 2 or not numbers.shape[1]:
        message = f"the ranker gives {numbers.shape[1]} numbers for a pair; it must be 1 or 2"
        raise EncoderInvalidError(message)
    leads = numbers[:, 0] - numbers[:, 1] if numbers.shape[1] == 2 else numbers[:, 0]
    return -leads if template.second_over_first else leads


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1, powers) / (1 + powers))


def _model_files(directory: Path) -> list[Path]:
    """The model, and the weights that lie beside one of more than 2 GiB."""
    return [directory / "model.onnx", *sorted(directory.glob("model.onnx*data"))]


def _probe(ranker: PairRanker, model: Path) -> None:
    try:
        ranker.logits("A prompt.", ["", "An answer that the model must be able to read."])
    except EncoderInvalidError:
        raise
    except Exception as error:
        message = f"{model} fails on a plain pair of answers; export it again"
        raise EncoderInvalidError(message) from error
