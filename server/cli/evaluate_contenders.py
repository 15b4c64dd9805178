"""The routers that `pointsman evaluate routing` compares, with their scores of every prompt."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from evaluation.routers.contenders import Contender, Latency, aligned
from evaluation.routers.practice import Practice
from evaluation.routing import route_table
from evaluation.scores.table import ScoreTable
from evaluation.texts import EncodedTexts
from evaluation.vector_cache import CachingEncoder, RevisedEncoder
from scoring.routers import Router
from server.cli.delivery import progress_bar
from server.cli.offline_router import OfflineRouter

MOST_TIMED = 50
Clock = Callable[[], float]
"""Seconds that only grow."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of texts, which each encoder makes once and keeps on the disk.

    Attributes:
        cache: Folder of the vectors; None to keep none.
    """

    cache: Path | None

    def of(self, encoder: RevisedEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the (n, d) vectors of texts, with a bar on standard error."""
        kept = encoder if self.cache is None else CachingEncoder(encoder, self.cache)
        with progress_bar("Encoding") as report:
            return EncodedTexts(texts, kept, report).of(texts)


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What every router is tried on.

    Attributes:
        table: The rows.
        training: Rows to learn from; None where there are none.
        practice: The same as policies learn from them.
        costs: Of a call, by model, that were given on the command line.
        vectors: Of prompts.
        practise: Whether routers score the training rows, for policies to learn from.
        clock: For latencies.
    """

    table: ScoreTable
    training: ScoreTable | None
    practice: Practice | None
    costs: Mapping[str, float]
    vectors: Vectors
    practise: bool = False
    clock: Clock = time.perf_counter

    def try_out(
        self,
        name: str,
        router: Router,
        encoder: RevisedEncoder,
        costs: Mapping[str, float],
        temperature: float | None,
        practice: NDArray[np.float64] | None = None,
        training_seconds: float = float("nan"),
    ) -> Contender:
        """Scores every prompt by a router, and times some of them one at a time.

        Raises:
            EncodersError: A prompt can't be encoded.
            ScoringError: The router can't score.
            UnreadableDataError: The data has none of the router's models.
        """
        vectors = self.vectors.of(encoder, self.table.prompts)
        with progress_bar(f"Scoring by {name}") as report:
            scores = route_table(router, vectors, report)
        known = {**costs, **self.costs}
        return Contender(
            name=name,
            kind=router.kind,
            scores=aligned(self.table, scores),
            costs=np.array([known.get(model, np.nan) for model in self.table.models]),
            temperature=temperature,
            latency=latency_of(router, encoder, self.table.prompts, self.clock),
            training_seconds=training_seconds,
            practice=practice,
            note=self._strangers(router.models()),
        )

    def table_with_costs(self, contenders: Sequence[Contender]) -> ScoreTable:
        """Gives the table costs per model where its rows have none: those that routers know."""
        table = self.table
        known = [np.array([self.costs.get(model, np.nan) for model in table.models])]
        known += [each.costs for each in contenders]
        found = known[0]
        for each in known[1:]:
            found = np.where(np.isnan(found), each, found)
        if table.costs is not None or np.isnan(found).all():
            return table
        costs = np.tile(found, (len(table), 1))
        return ScoreTable.of(table.prompts, table.tasks, table.models, table.scores, costs)

    def _strangers(self, models: Sequence[str]) -> str:
        strange = [model for model in models if model not in self.table.models]
        missing = [model for model in self.table.models if model not in models]
        notes = []
        if strange:
            notes.append(f"may not call {', '.join(strange)}, of which the data has no scores.")
        if missing:
            notes.append(f"does not know {', '.join(missing)}.")
        return " ".join(notes)


def artefact_contender(name: str, directory: Path, bench: Bench) -> Contender:
    """Loads an artefact and tries it out.

    Policies that learn from training rows learn from its scores of them, though it may have
    been trained on them.

    Raises:
        EncodersError: There is none, it is broken, or its encoder can't be loaded.
        ScoringError: Its arrays do not make a router.
        UnreadableDataError: The data has none of its models.
    """
    offline = OfflineRouter.load(directory)
    temperature = offline.calibration.temperature if offline.calibration else None
    practice = None
    if bench.training is not None and bench.practise:
        vectors = bench.vectors.of(offline.encoder, bench.training.prompts)
        practice = aligned(bench.table, route_table(offline.router, vectors))
    return bench.try_out(
        name, offline.router, offline.encoder, offline.costs, temperature, practice
    )


def latency_of(
    router: Router, encoder: RevisedEncoder, prompts: Sequence[str], clock: Clock
) -> Latency:
    """Times up to 50 prompts, evenly taken, one at a time, after one that doesn't count."""
    places = np.unique(np.linspace(0, len(prompts) - 1, MOST_TIMED).astype(np.int64))
    timed = [_timed(router, encoder, prompts[place], clock) for place in (places[0], *places)]
    encode, score = np.array(timed[1:]).T
    return Latency(encode, score)


def _timed(
    router: Router, encoder: RevisedEncoder, prompt: str, clock: Clock
) -> tuple[float, float]:
    start = clock()
    vectors = encoder.encode([prompt]).vectors
    between = clock()
    router.score(vectors)
    return between - start, clock() - between


def named_directories(given: Sequence[str]) -> dict[str, Path]:
    """Reads NAME=DIR, or DIR alone, whose last part is then the name.

    Raises:
        typer.BadParameter: A name is given twice, or there is no such directory.
    """
    found: dict[str, Path] = {}
    for each in given:
        name, equals, rest = each.partition("=")
        directory = Path(rest if equals else each)
        name = name if equals else directory.resolve().name
        if not directory.is_dir():
            raise typer.BadParameter(f"--router {each}: {directory} is no directory.")
        _require_new(name, found, f"--router {each}")
        found[name] = directory
    return found


def named_costs(given: Sequence[str]) -> dict[str, float]:
    """Reads NAME=NUMBER.

    Raises:
        typer.BadParameter: A name is given twice, or what follows is no number of 0 or more.
    """
    found: dict[str, float] = {}
    for each in given:
        name, _, number = each.rpartition("=")
        try:
            cost = float(number)
        except ValueError:
            cost = float("nan")
        if not (name and 0 <= cost < float("inf")):
            raise typer.BadParameter(f"--cost {each}: write it as MODEL=NUMBER, 0 or more.")
        _require_new(name, found, f"--cost {each}")
        found[name] = cost
    return found


def _require_new(name: str, found: Mapping[str, object], flag: str) -> None:
    if name in found:
        raise typer.BadParameter(f"{flag}: {name} is given twice; name it otherwise.")
