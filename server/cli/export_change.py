"""What another encoder changes: vectors, choices, accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders import Artefact, Provider, SentenceEncoder
from evaluation.routing import accuracy, route_table
from evaluation.scores import ScoreTable
from evaluation.texts import EncodedTexts, TextEncoder
from scoring.routers import build_router
from server.cli.delivery import progress_bar

_TEXTS = (
    "What is the capital of France?",
    "Ann has 3 boxes of 12 eggs and breaks 5. How many eggs are whole? Think step by step.",
    "def add(a, b):\n    # returns the sum\n",
    "以下哪一项不是哺乳动物? A. 鲸 B. 蝙蝠 C. 企鹅 D. 猫",
    "Summarise this report in one sentence: " + "the sales of the first quarter rose. " * 20,
    "¿Cuál es la diferencia entre un virus y una bacteria?",
    "",
)
"""Encoded where no data is given."""


@dataclass(frozen=True, slots=True)
class RoutingChange:
    """What becomes of the choices.

    Attributes:
        before: Average accuracy over the tasks; NaN where no chosen model has a score.
        after: With the other encoder.
        other_choices: Share of the rows that go to another model.
    """

    before: float
    after: float
    other_choices: float


@dataclass(frozen=True, slots=True)
class EncoderChange:
    """What becomes of a router.

    Attributes:
        texts: That both encoders saw.
        largest_difference: Of a coordinate of their unit vectors.
        least_cosine: Of the two vectors of a text.
        routing: None without data.
    """

    texts: int
    largest_difference: float
    least_cosine: float
    routing: RoutingChange | None


def compare(
    original: Artefact, other: Path, table: ScoreTable | None, positive_tasks: Sequence[str]
) -> EncoderChange:
    """Encodes by the encoder of a router and by another, and routes by both.

    Args:
        original: The router.
        other: Directory of the other encoder.
        table: n rows of scores of the router's models, in its order.
        positive_tasks: Tasks in which a score above 0 is right.

    Raises:
        EncodersError: An encoder can't be loaded, or the router has changed since it was read.
    """
    texts = list(dict.fromkeys(_TEXTS if table is None else table.prompts))
    first = _encode("Encoding as before", texts, original.load_encoder(Provider.CPU))
    second = _encode("Encoding anew", texts, SentenceEncoder.load(other, provider=Provider.CPU))
    before, after = first.of(texts), second.of(texts)
    routing = None if table is None else _route(original, table, (first, second), positive_tasks)
    return EncoderChange(
        texts=len(texts),
        largest_difference=float(np.abs(before - after).max()),
        least_cosine=float(np.vecdot(before, after).min()),
        routing=routing,
    )


def _encode(title: str, texts: Sequence[str], encoder: TextEncoder) -> EncodedTexts:
    with progress_bar(title) as report:
        return EncodedTexts(texts, encoder, report)


def _route(
    original: Artefact,
    table: ScoreTable,
    encoded: Sequence[EncodedTexts],
    positive_tasks: Sequence[str],
) -> RoutingChange:
    before, after = (_choices(original, each.of(table.prompts)) for each in encoded)
    reports = [accuracy(table, choices, positive_tasks) for choices in (before, after)]
    return RoutingChange(
        before=reports[0].chosen.average.mean,
        after=reports[1].chosen.average.mean,
        other_choices=float((before != after).mean()),
    )


def _choices(original: Artefact, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    manifest = original.manifest
    router = build_router(manifest.kind, original.models, original.arrays, manifest.method)
    return np.asarray(route_table(router, vectors).scores.argmax(axis=1), np.int64)
