"""How a router comes to be: from an artefact with its own encoder, or over a pool."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from encoders import EncodersError, Provider, cpu_limit, share_cores
from encoders.artefact.bundle import Artefact
from encoders.errors import ArtefactInvalidError, ArtefactNotFoundError
from scoring.errors import ScoringError
from scoring.memory import EmbeddingSpace, Memory
from scoring.routers import (
    OutcomeRouter,
    Router,
    SmoothieRouter,
    TemperatureCalibration,
    build_router,
)
from server.encoding import ServedEncoder
from server.errors import EncodingFailedError
from server.routers.settings import (
    ArtefactRouterSettings,
    KnnRouterSettings,
    PoolRouterSettings,
    SmoothieRouterSettings,
)
from server.routers.shelf import EncoderShelf
from server.routers.values import ServedRouter
from server.settings import EncoderSettings


class RouterLoader:
    """Makes routers.

    Args:
        settings: How encoders are run.
        shelf: Lends encoders.
        memory: The pools.
        served: Encodes the prompts of routers over pools.
    """

    def __init__(
        self,
        settings: EncoderSettings,
        shelf: EncoderShelf,
        memory: Memory,
        served: ServedEncoder,
    ) -> None:
        self._provider = Provider(settings.provider)
        self._threads = share_cores(cpu_limit(), settings.threads).threads
        self._shelf = shelf
        self._memory = memory
        self._served = served

    def over_pool(self, name: str, section: PoolRouterSettings) -> ServedRouter:
        """Makes a router over a pool, which need not exist yet."""
        return ServedRouter(
            name=name,
            section=section,
            router=self._pool_router(section),
            served=self._served,
            loaded_at=time.time(),
            pool=section.pool,
            costs=section.costs,
        )

    async def read(self, directory: Path) -> Artefact:
        """Reads an artefact and verifies every hash, in a thread.

        Raises:
            ArtefactNotFoundError: There is none.
            ArtefactInvalidError: It is broken.
        """
        with as_artefact_errors():
            return await asyncio.to_thread(Artefact.load, directory)

    async def of_artefact(
        self, name: str, section: ArtefactRouterSettings, artefact: Artefact
    ) -> ServedRouter:
        """Makes the router of an artefact, with an encoder that is given back by `release`.

        Raises:
            ArtefactInvalidError: Its encoder can't be loaded, or the parts do not fit together.
        """
        load = partial(artefact.load_encoder, provider=self._provider, threads=self._threads)
        with as_artefact_errors():
            # Some kinds make an index of all that they were taught.
            router = await asyncio.to_thread(
                build_router,
                artefact.manifest.kind,
                artefact.models,
                artefact.arrays,
                artefact.manifest.method,
            )
            _require_calibration(section, artefact)
            served = await self._shelf.borrow(artefact.manifest.encoder.revision, load)
        costs = zip(artefact.models, artefact.costs.tolist(), strict=True)
        fitted = artefact.manifest.calibration
        return ServedRouter(
            name=name,
            section=section,
            router=router,
            served=served,
            loaded_at=time.time(),
            space=EmbeddingSpace(f"encoder/{served.identity.revision}", served.identity.dimension),
            models=artefact.models,
            costs={model: cost for model, cost in costs if not np.isnan(cost)},
            calibration=TemperatureCalibration(fitted.temperature) if fitted else None,
            abstain_below_probability=section.abstain_below_probability,
            revision=artefact.revision,
        )

    def release(self, router: ServedRouter) -> None:
        """Gives back the encoder of an artefact's router."""
        self._shelf.give_back(router.served)

    def _pool_router(self, section: PoolRouterSettings) -> Router:
        if isinstance(section, KnnRouterSettings):
            return OutcomeRouter(
                self._memory,
                section.pool,
                neighbours=section.neighbours,
                pseudo_outcomes=section.pseudo_outcomes,
            )
        assert isinstance(section, SmoothieRouterSettings)  # noqa: S101  there are two kinds
        return SmoothieRouter(
            self._memory,
            section.pool,
            neighbours=section.neighbours,
            least_neighbours=section.least_neighbours,
        )


@contextmanager
def as_artefact_errors() -> Iterator[None]:
    """Makes whatever an artefact is refused for an error of the artefact.

    Raises:
        ArtefactInvalidError: In place of another error that was raised on purpose.
    """
    try:
        yield
    except (ArtefactInvalidError, ArtefactNotFoundError):
        raise
    except (EncodersError, ScoringError, EncodingFailedError) as error:
        raise ArtefactInvalidError(str(error)) from error


def _require_calibration(section: ArtefactRouterSettings, artefact: Artefact) -> None:
    if section.abstain_below_probability is not None and artefact.manifest.calibration is None:
        raise ArtefactInvalidError(
            f"{artefact.directory} has no calibration, so it gives no probability to abstain by "
            "(abstain_below_probability); calibrate it, or abstain by margin"
        )
