"""An artefact as a router without a server, deciding by the server's own code."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from encoders.artefact.bundle import Artefact
from evaluation.routed import RankedModel, RoutedPrompt
from evaluation.routing import route_table
from evaluation.texts import EncodedTexts, Progress, TextEncoder
from evaluation.vector_cache import RevisedEncoder
from scoring.errors import UnknownModelError
from scoring.routers import Router, RouterScores, TemperatureCalibration, build_router
from server.cli.wanted import Wanted
from server.deciding import decide
from server.requests import Decision, RouteRequest
from server.routers.settings import ArtefactRouterSettings


@dataclass(frozen=True, slots=True, eq=False)
class OfflineRouter:
    """A trained router that never abstains, since that is a server's setting.

    Attributes:
        router: Scores the models.
        encoder: Encodes its prompts.
        section: The settings that a server would have, without any that abstains.
        costs: Of a call, by model; what is unknown is not in it.
        calibration: Turns scores into probabilities; None where there is none.
    """

    router: Router
    encoder: RevisedEncoder
    section: ArtefactRouterSettings
    costs: Mapping[str, float]
    calibration: TemperatureCalibration | None
    abstain_below_probability: float | None = None

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Loads an artefact with its encoder.

        Raises:
            EncodersError: There is none, it is broken, or its encoder can't be loaded.
            ScoringError: Its arrays do not make a router.
        """
        artefact = Artefact.load(directory)
        fitted = artefact.manifest.calibration
        costs = zip(artefact.models, artefact.costs.tolist(), strict=True)
        return cls(
            router=build_router(
                artefact.manifest.kind,
                artefact.models,
                artefact.arrays,
                artefact.manifest.method,
            ),
            encoder=artefact.load_encoder(),
            section=ArtefactRouterSettings(directory=directory),
            costs={model: cost for model, cost in costs if not np.isnan(cost)},
            calibration=TemperatureCalibration(fitted.temperature) if fitted else None,
        )

    def require_models(self, models: Iterable[str]) -> None:
        """Refuses a model that the router does not choose among.

        Raises:
            UnknownModelError: Names the first.
        """
        known = self.router.models()
        for model in models:
            if model not in known:
                raise UnknownModelError(f"The router knows no model {model}: {', '.join(known)}.")

    def route(self, vectors: NDArray[np.float32], wanted: Wanted) -> tuple[Decision, ...]:
        """Decides for each of (n, d) vectors of prompts, n at least 1.

        Raises:
            ScoringError: What is wanted can't be had of this router.
        """
        scores = route_table(self.router, vectors)
        return tuple(self._decide(scores, row, wanted) for row in range(len(vectors)))

    def _decide(self, scores: RouterScores, row: int, wanted: Wanted) -> Decision:
        request = RouteRequest(
            router="",
            prompt="",
            candidates=wanted.candidates,
            denied=wanted.denied,
            policy=wanted.policy(row),
        )
        return decide(self, request, scores.of_prompt(row))


def encode(
    encoder: TextEncoder, prompts: Sequence[str], progress: Progress | None = None
) -> tuple[NDArray[np.float32], int]:
    """Returns the (n, d) vectors of prompts, and how many distinct ones were cut short."""
    texts = EncodedTexts(prompts, encoder, progress)
    return texts.of(prompts), texts.truncated


def routed_prompt(prompt: str, task: str, decision: Decision) -> RoutedPrompt:
    """Puts a decision beside its prompt."""
    return RoutedPrompt(
        prompt=prompt,
        task=task,
        model=decision.model,
        ranking=tuple(
            RankedModel(each.model, each.score, each.probability, each.cost)
            for each in decision.ranking
        ),
        margin=decision.margin,
        entropy=decision.entropy,
        abstained=decision.abstained,
        reason=decision.fallback.reason if decision.fallback else "",
    )
