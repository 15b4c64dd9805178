"""Trained routers made on the spot: each model is at home with one word."""

import itertools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from encoders import Provider, SentenceEncoder
from encoders.artefact.bundle import Artefact, write_artefact
from encoders.artefact.manifest import CalibrationEntry, ManifestDraft, ModelEntry
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
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        write_lookup(source, "sentence_embedding", dimension=dimension)
        _read_no_padding(source / "onnx" / "model.onnx")
        encoder = SentenceEncoder.load(source, provider=Provider.CPU, threads=1)
        draft = ManifestDraft(
            kind="routerdc",
            models=tuple(ModelEntry(name=name, cost=costs.get(name)) for name in homes),
            encoder_name="lookup",
            method={"number": next(_numbers)},  # no two artefacts are the same
            calibration=CalibrationEntry(temperature=temperature) if temperature else None,
        )
        arrays = {"llm_embeddings": encoder.encode(list(homes.values())).vectors}
        return write_artefact(out, draft, arrays, source)


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
