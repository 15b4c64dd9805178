"""What the fitted methods of `pointsman train` see of a prompt: the vectors of an encoder."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from encoders import AnyEncoder, Artefact, Precision, embedded_encoder, load_any_encoder
from encoders.artefact.bundle import is_router
from encoders.artefact.manifest import ENCODER
from evaluation.texts import EncodedTexts, TextEncoder
from evaluation.vector_cache import VECTOR_CACHE, CachingEncoder
from server.cli.delivery import progress_bar
from server.settings import EncoderSettings


@dataclass(frozen=True, slots=True)
class Features:
    """An encoder, and where its files are.

    Attributes:
        encoder: Turns prompts into vectors.
        directory: What an artefact takes over.
        name: What it was made of, for people.
        precision: Of its numbers.
    """

    encoder: TextEncoder
    directory: Path
    name: str
    precision: Precision = Precision.FP32

    def of(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the (n, d) vectors of prompts, with a bar on standard error."""
        with progress_bar("Encoding") as report:
            return EncodedTexts(prompts, self.encoder, report).of(prompts)


@contextmanager
def features(given: dict[str, Any], prompts: Sequence[str]) -> Iterator[Features]:
    """Gives the features that the options name, while their files are there.

    Args:
        given: The options, by name.
        prompts: To learn from; what tf-idf counts is taken from them.

    Raises:
        EncodersError: The folder holds no encoder, or the embedded one is not installed.
        TrainingError: The prompts hold no terms to count.
        typer.BadParameter: An encoder is given, but not used.
    """
    if given["features"] != "tf-idf":
        yield _of_encoder(given["encoder"])
        return
    if given["encoder"]:
        raise typer.BadParameter("--encoder is of --features sentence; tf-idf has its own.")
    from encoders.training.tfidf import fit_tfidf

    with tempfile.TemporaryDirectory() as folder:
        fit_tfidf(prompts, Path(folder), seed=given["seed"])
        yield Features(load_any_encoder(Path(folder)), Path(folder), "tf-idf")


def _of_encoder(directory: Path | None) -> Features:
    if directory is None:
        embedded = embedded_encoder(EncoderSettings().cache.expanduser())
        return Features(_cached(load_any_encoder(embedded)), embedded, "all-MiniLM-L6-v2")
    if is_router(directory):
        artefact = Artefact.load(directory)
        entry = artefact.manifest.encoder
        encoder = _cached(artefact.load_encoder())
        return Features(encoder, artefact.directory / ENCODER, entry.name, entry.precision)
    return Features(_cached(load_any_encoder(directory)), directory, directory.resolve().name)


def _cached(encoder: AnyEncoder) -> TextEncoder:
    return CachingEncoder(encoder, VECTOR_CACHE.expanduser())
