"""Trained routers made on the spot: each model is at home with one word."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from encoders import Provider, SentenceEncoder
from encoders.artefact.bundle import Artefact, write_artefact
from encoders.artefact.manifest import CalibrationEntry, ManifestDraft, ModelEntry
from encoders.tfidf import Vocabulary, write_tfidf
from tests.unit.encoding.tiny_bert import VOCABULARY, write_lookup

HOMES = {"feline": "cat", "canine": "dog", "carpet": "mat"}
COSTS = {"feline": 1.0, "canine": 5.0, "carpet": 0.5}
_numbers = itertools.count()


def write_router(
    out: Path,
    homes: dict[str, str] = HOMES,
    *,
    costs: dict[str, float] = COSTS,
    temperature: float | None = 0.1,
    dimension: int = 6,
) -> Artefact:
    """Writes an artefact whose router calls, for a word, the model that is at home with it.

    Args:
        homes: A word of the tiny tokenizer by model.
        costs: By model; what is not in it has none.
        temperature: Of the calibration; None for no calibration.
        dimension: Of the encoder, which is another encoder with another dimension.
    """
    with _lookup(dimension) as (source, encoder):
        draft = ManifestDraft(
            kind="routerdc",
            models=tuple(ModelEntry(name=name, cost=costs.get(name)) for name in homes),
            encoder_name="lookup",
            method={"number": next(_numbers)},  # no two artefacts are the same
            calibration=CalibrationEntry(temperature=temperature) if temperature else None,
        )
        arrays = {"llm_embeddings": encoder.encode(list(homes.values())).vectors}
        return write_artefact(out, draft, arrays, source)


def write_fitted(out: Path, kind: str = "shrinkage", *, dimension: int = 6) -> Artefact:
    """Writes an artefact of a fitted router, by default one that knows two neighbours.

    Each home was told four times. Nobody knows what `carpet` makes of a cat.
    """
    from scoring.fitting import TrainingRows, fit  # the servers of most tests do without

    words = [word for word in HOMES.values() for _ in range(4)]
    qualities = np.repeat(np.eye(len(HOMES)), 4, axis=0)
    qualities[0, list(HOMES).index("carpet")] = np.nan
    given = {"k": 2, "weighting": "uniform", "pseudo_count": 1.0} if kind == "shrinkage" else {}
    with _lookup(dimension) as (source, encoder):
        vectors = encoder.encode(words).vectors
        fitted = fit(kind, TrainingRows(vectors, qualities, tuple(words), tuple(HOMES)), given)
        draft = ManifestDraft(
            kind=kind,
            models=tuple(ModelEntry(name=name, cost=COSTS[name]) for name in HOMES),
            encoder_name="lookup",
            method={**fitted.method, "number": next(_numbers)},
            calibration=CalibrationEntry(temperature=0.1),
        )
        return write_artefact(out, draft, fitted.arrays, source)


def write_counted(out: Path) -> Artefact:
    """Writes an artefact whose encoder counts words, and has no network."""
    words = tuple(HOMES.values())
    one = np.ones(len(words), np.float32)
    draft = ManifestDraft(
        kind="multi-label",
        models=tuple(ModelEntry(name=name) for name in HOMES),
        encoder_name="words",
    )
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Vocabulary(words, (), 2, 2, one, np.eye(3, dtype=np.float32))
        write_tfidf(Path(folder), vocabulary, max_tokens=100)
        return write_artefact(out, draft, {"llm_embeddings": np.eye(3)}, Path(folder))


@contextmanager
def _lookup(dimension: int) -> Iterator[tuple[Path, SentenceEncoder]]:
    """The tiny encoder, in a directory that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        write_lookup(source, "sentence_embedding", dimension=dimension)
        _read_no_padding(source / "onnx" / "model.onnx")
        yield source, SentenceEncoder.load(source, provider=Provider.CPU, threads=1)


def _read_no_padding(path: Path) -> None:
    """Makes padding, which the tiny model sums up too, count for nothing."""
    model = onnx.load(path)
    (table,) = (each for each in model.graph.initializer if each.name == "table")
    rows = numpy_helper.to_array(table).copy()
    rows[VOCABULARY["[PAD]"]] = 0
    table.CopyFrom(numpy_helper.from_array(rows, "table"))
    onnx.save(model, path)


def swap_link(link: Path, target: Path) -> None:
    """Makes a symbolic link lead elsewhere in one step, as a deployment does."""
    beside = link.with_name(link.name + ".new")
    beside.symlink_to(target)
    beside.rename(link)


def corrupt(directory: Path) -> None:
    """Changes one byte of the arrays, and nothing of the manifest."""
    path = directory / "arrays.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def vector_of(directory: Path, text: str) -> np.ndarray:
    """Encodes a text with the encoder of an artefact."""
    encoder = Artefact.load(directory).load_encoder(Provider.CPU, 1)
    return encoder.encode([text]).vectors[0]


def remove(directory: Path) -> None:
    """Removes an artefact."""
    shutil.rmtree(directory)
