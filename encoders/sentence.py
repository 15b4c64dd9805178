"""The sentence encoder: text in, unit vectors out."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.batches import group_by_length, longest_of, pad
from encoders.cpu import cpu_limit
from encoders.errors import EncoderInvalidError
from encoders.files import sha256_of
from encoders.layout import Layout
from encoders.parallelism import share_cores
from encoders.pooling import Pooling, pool, to_unit_norm
from encoders.session import Network, Provider
from encoders.tokeniser import Tokeniser, Tokens

_Rows: TypeAlias = Sequence[NDArray[np.int64]]

_BATCHES_ON_A_CARD = 2


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as vectors, in the order of the texts."""

    vectors: NDArray[np.float32]
    """(n, d), unit norm, C-contiguous."""
    truncated: NDArray[np.bool_]
    """(n,), the text was longer than the encoder reads."""


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """A sentence encoder of the Hugging Face layout; threads may share it."""

    tokeniser: Tokeniser
    network: Network
    pooling: Pooling
    pad_id: int
    dimension: int
    """Length of the vectors."""
    max_tokens: int
    """Tokens that are read of a text, special ones included."""
    revision: str
    """16 hex characters of a SHA-256 over model, tokenizer, pooling and max_tokens."""

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        provider: Provider = Provider.AUTO,
        threads: int | None = None,
        max_tokens: int | None = None,
    ) -> Self:
        """Loads an encoder and runs it once.

        Args:
            directory: Holds model.onnx or onnx/model.onnx, tokenizer.json and
                config.json; optionally modules.json, 1_Pooling/config.json,
                sentence_bert_config.json and tokenizer_config.json.
            provider: Where the model runs.
            threads: Of ONNX Runtime; `cpu_limit()` if None.
            max_tokens: In place of the encoder's own.

        Raises:
            EncoderNotFoundError: A file is missing.
            EncoderInvalidError: A file is damaged, the files do not fit together,
                or the encoder needs what is not served here.
            ProviderUnavailableError: CUDA was asked for and is not usable.
        """
        layout = Layout.read(directory)
        limit = _checked_limit(layout, max_tokens)
        tokeniser = Tokeniser.load(layout.tokenizer, max_tokens=limit, lowercase=layout.lowercase)
        network = Network.load(layout.model, provider=provider, threads=_checked_threads(threads))
        pooling = Pooling.MODEL if network.pooled else layout.require_pooling()
        return cls(
            tokeniser=tokeniser,
            network=network,
            pooling=pooling,
            pad_id=layout.pad_id,
            dimension=_probe(layout, tokeniser, network, pooling),
            max_tokens=limit,
            revision=_revision(layout, pooling, limit),
        )

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider really in use."""
        return self.network.provider

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch of many callers' texts, where nothing else was set."""
        return self.network.limits.batch_tokens

    @property
    def batches_at_a_time(self) -> int:
        """How many threads should encode at a time, where nothing else was set.

        On a card one is tokenised, padded and copied while another one runs.
        """
        if not self.network.on_cpu:
            return _BATCHES_ON_A_CARD
        threads = 1 if self.network.crowd else self.network.threads
        return share_cores(cpu_limit(), threads).batches

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenises texts, in their order.

        An empty text is legal. A lone surrogate is read as U+FFFD.
        """
        return self.tokeniser.tokenise(texts)

    def cut(self, tokens: Sequence[Tokens]) -> Iterator[list[int]]:
        """Chooses which of n texts share a run of the model, shortest first.

        Yields:
            Indexes of the texts of one run; every text is in exactly one.
        """
        lengths = np.array([text.ids.size for text in tokens], dtype=np.int64)
        return group_by_length(lengths, self.network.limits)

    def encode_tokens(
        self, tokens: Sequence[Tokens], *, crowded: bool = False
    ) -> NDArray[np.float32]:
        """Encodes tokenised texts.

        Texts of like length run together (`encoders.batches`), so that little is
        spent on padding. In other company a text's vector may differ in the last
        bits.

        Args:
            tokens: Of n texts.
            crowded: Other threads encode at the same time, or soon.

        Returns:
            (n, d) in the order of the texts, unit norm, C-contiguous. A text that
            the model maps to zero stays zero.

        Raises:
            EncoderInvalidError: The model gave NaN or infinity.
        """
        vectors = np.zeros((len(tokens), self.dimension), dtype=np.float32)
        runs = list(self.cut(tokens))
        rows = [[tokens[index].ids for index in chosen] for chosen in runs]
        for chosen, found in zip(runs, self._run_all(rows, crowded=crowded), strict=True):
            vectors[chosen] = found
        if not np.isfinite(vectors).all():
            message = "the encoder gave NaN or infinity; its model is damaged, fetch it again"
            raise EncoderInvalidError(message)
        return to_unit_norm(vectors)

    def _run_all(self, runs: Sequence[_Rows], *, crowded: bool) -> Iterator[NDArray[np.float32]]:
        """Runs the model on each of some groups of rows; in their order."""
        threads = min(len(runs), self.network.runs_at_a_time)
        if crowded or threads < 2:
            yield from map(partial(self._run, crowded=crowded), runs)
            return
        with ThreadPoolExecutor(threads) as executor:
            # The longest first: the last to end is a short one.
            found = list(executor.map(partial(self._run, crowded=True), reversed(runs)))
        yield from reversed(found)

    def _run(self, rows: _Rows, *, crowded: bool) -> NDArray[np.float32]:
        """One run of the model; (n, d), not yet of unit norm."""
        shape = self.network.limits.shape(len(rows), longest_of(rows), self.max_tokens)
        ids, mask = pad(rows, self.pad_id, shape)
        output = self.network.run(ids, mask, crowded=crowded)[: len(rows)]
        return pool(self.pooling, output, mask[: len(rows)])

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Tokenises and encodes texts, in their order."""
        tokens = self.tokenise(texts)
        truncated = np.array([text.truncated for text in tokens], dtype=np.bool_)
        return Encoded(self.encode_tokens(tokens), truncated)


def _checked_limit(layout: Layout, wanted: int | None) -> int:
    limit = layout.max_tokens if wanted is None else wanted
    if layout.positions is not None and limit > layout.positions:
        message = f"max_tokens is {limit}, but the encoder has only {layout.positions} positions"
        raise EncoderInvalidError(message, field="max_tokens")
    return limit


def _checked_threads(threads: int | None) -> int:
    if threads is not None and threads < 1:
        raise EncoderInvalidError(f"threads is {threads}; give at least 1", field="threads")
    return threads or cpu_limit()


def _probe(layout: Layout, tokeniser: Tokeniser, network: Network, pooling: Pooling) -> int:
    """Runs two texts of unlike length; the length of their vectors."""
    tokens = tokeniser.tokenise(["", "One text that the model must be able to read."])
    ids, mask = pad([text.ids for text in tokens], layout.pad_id)
    try:
        vectors = pool(pooling, network.run(ids, mask), mask)
    except Exception as error:
        message = f"{layout.model} fails on a plain text; export it again"
        raise EncoderInvalidError(message) from error
    dimension = int(vectors.shape[-1])
    if pooling is not Pooling.MODEL and layout.embedding_size not in (None, dimension):
        message = (
            f"{layout.model} gives {dimension} numbers per token, but its configuration says "
            f"{layout.embedding_size}; the files are of different encoders"
        )
        raise EncoderInvalidError(message)
    return dimension


def _revision(layout: Layout, pooling: Pooling, max_tokens: int) -> str:
    notes = (pooling.value, str(max_tokens), str(layout.lowercase))
    return sha256_of([*layout.model_files(), layout.tokenizer], *notes)[:16]
