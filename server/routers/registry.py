"""The named routers: which one answers, how it is reloaded, and when the old one may go."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from encoders import EncodersError
from scoring.memory import Memory
from server.errors import (
    InvalidRequestError,
    OverloadedError,
    RouterNotFoundError,
    StartError,
    Violation,
)
from server.logs import place_of
from server.names import some_of
from server.parts import Parts
from server.routers.loading import RouterLoader, as_artefact_errors
from server.routers.settings import ArtefactRouterSettings, RouterSettings
from server.routers.values import RouterReport, ServedRouter
from server.routers.watching import Fingerprint, Watch, fingerprint
from server.settings import Settings
from server.spaces import pool_revision, space_of

_log = structlog.get_logger(__name__)

_MOST_WAITING = 8
_RETRY_SECONDS = 1.0
_FAULT = "The artefact could not be loaded; the server's log says where it failed."


@dataclass(slots=True, eq=False)
class _Held:
    """A router with those who use it."""

    router: ServedRouter
    users: int = 0
    retired: bool = False


@dataclass(slots=True, eq=False)
class _Slot:
    """One name: the router in service, and what is known of the newest artefact.

    Attributes:
        waiting: Reloads that wait for their turn, by directory; None for the slot's own.
        blind: The last look at the directory failed.
    """

    held: _Held
    section: RouterSettings
    directory: Path = Path()
    watch: Watch = field(default_factory=lambda: Watch(()))
    last_error: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: dict[Path | None, asyncio.Task[Exception | None]] = field(default_factory=dict)
    blind: bool = False


class RouterRegistry:
    """Holds the routers by name. Used from the event loop only, but for its reports.

    Args:
        settings: Which routers there are.
        loader: Makes them.
        memory: The pools.
        parts: Runs reloads, so that a caller who gives up does not stop one half-way.
        warm_up: Sends a real prompt through a router.
    """

    def __init__(
        self,
        settings: Settings,
        loader: RouterLoader,
        memory: Memory,
        parts: Parts,
        warm_up: Callable[[ServedRouter], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._loader = loader
        self._memory = memory
        self._parts = parts
        self._warm_up = warm_up
        self._slots: dict[str, _Slot] = {}

    async def open(self) -> None:
        """Loads and warms every router of the settings.

        Raises:
            StartError: One can't be loaded; the message names the setting.
        """
        for name, section in self._settings.routers.items():
            if isinstance(section, ArtefactRouterSettings):
                self._slots[name] = await self._first(name, section)
            else:
                router = self._loader.over_pool(name, section)
                await self._warm_up(router)
                self._slots[name] = _Slot(_Held(router), section)
            _log_served(self._slots[name].held.router)

    async def watch(self) -> None:
        """Looks after the directories until cancelled, and reloads what has changed."""
        watched = [
            (slot, slot.section)
            for slot in self._slots.values()
            if isinstance(slot.section, ArtefactRouterSettings) and slot.section.watch
        ]
        while watched:
            await asyncio.sleep(self._settings.watch_interval)
            for slot, section in watched:
                seen = await _look(slot)
                if seen is not None and slot.watch.has_settled(seen):
                    await self._reload_in_turn(slot, section, None)

    @contextmanager
    def use(self, name: str) -> Iterator[ServedRouter]:
        """Lends the router of a name, or the default one; it stays whole until it is given back.

        Raises:
            RouterNotFoundError: There is none of this name.
        """
        held = self._slot(name).held
        held.users += 1
        try:
            yield held.router
        finally:
            held.users -= 1
            self._release_if_over(held)

    def reports(self) -> list[RouterReport]:
        """Every router, by name."""
        return [self.report(name) for name in sorted(self._slots)]

    def report(self, name: str) -> RouterReport:
        """One router.

        Raises:
            RouterNotFoundError: There is none of this name.
        """
        slot = self._slot(name)
        router = slot.held.router
        return RouterReport(
            name=router.name,
            kind=router.router.kind,
            revision=router.revision
            or pool_revision(self._memory, router.pool, router.router.kind),
            models=router.router.models() if router.models is None else router.models,
            space=router.space or space_of(self._memory, router.pool),
            loaded_at=router.loaded_at,
            last_error=slot.last_error,
        )

    async def reload(self, name: str, directory: Path | None) -> RouterReport:
        """Loads an artefact beside the one in service, warms it and swaps it in.

        Reloads of one router take turns, and a caller joins one that already waits for its turn
        with the same directory. A caller who gives up does not stop its reload.

        Args:
            name: Of the router.
            directory: Of the artefact, watched from now on; the one before if None.

        Raises:
            RouterNotFoundError: There is none of this name.
            InvalidRequestError: The router is not of an artefact.
            OverloadedError: Reloads from too many directories wait already.
            ArtefactNotFoundError: The directory holds no artefact; the old one stays.
            ArtefactInvalidError: The artefact is broken; the old one stays.
        """
        slot = self._slot(name)
        if not isinstance(slot.section, ArtefactRouterSettings):
            description = f"is of the kind {slot.section.kind}, which has no artefact to load"
            raise InvalidRequestError([Violation("router", description)])
        refusal = await asyncio.shield(self._waiting(slot, slot.section, directory))
        if refusal is not None:
            raise refusal
        return self.report(name)

    def _waiting(
        self, slot: _Slot, section: ArtefactRouterSettings, directory: Path | None
    ) -> asyncio.Task[Exception | None]:
        """Returns the reload from a directory that waits for its turn, or a new one."""

        async def reload() -> Exception | None:
            return await self._reload_in_turn(slot, section, directory, waiting=True)

        if directory not in slot.waiting:
            if len(slot.waiting) >= _MOST_WAITING:
                raise OverloadedError(
                    f"Reloads of this router from {_MOST_WAITING} directories wait already; call "
                    "again after the delay.",
                    retry_after=_RETRY_SECONDS,
                )
            slot.waiting[directory] = self._parts.start("reload", reload)
        return slot.waiting[directory]

    async def _first(self, name: str, section: ArtefactRouterSettings) -> _Slot:
        directory = section.directory.expanduser().absolute()
        watch = Watch(await asyncio.to_thread(fingerprint, directory))
        try:
            router = await self._load(name, section, directory, "")
        except EncodersError as error:
            raise StartError(f"{error} (routers.{name}.directory).") from None
        assert router is not None  # noqa: S101  no artefact has no revision
        return _Slot(_Held(router), section, directory, watch)

    async def _reload_in_turn(
        self,
        slot: _Slot,
        section: ArtefactRouterSettings,
        directory: Path | None,
        *,
        waiting: bool = False,
    ) -> Exception | None:
        async with slot.turn:
            if waiting:
                del slot.waiting[directory]
            return await self._reload(slot, section, directory or slot.directory)

    async def _reload(
        self, slot: _Slot, section: ArtefactRouterSettings, wanted: Path
    ) -> Exception | None:
        """Reloads, and returns why it could not."""
        old, own = slot.held.router, wanted == slot.directory
        try:
            seen = await asyncio.to_thread(fingerprint, wanted)
            if own:
                slot.watch.tried = seen
            fresh = await self._load(old.name, section, wanted, old.revision)
        except Exception as error:  # noqa: BLE001  whatever it is, the old one stays
            if own:
                slot.last_error = str(error) if isinstance(error, EncodersError) else _FAULT
            _log_refused(old.name, error)
            return error
        slot.directory, slot.watch.tried, slot.last_error = wanted, seen, ""
        if fresh is not None:
            self._swap(slot, fresh)
        return None

    async def _load(
        self, name: str, section: ArtefactRouterSettings, directory: Path, revision: str
    ) -> ServedRouter | None:
        """Returns a warm router; None where the artefact is of the revision that is given."""
        artefact = await self._loader.read(directory)
        if artefact.revision == revision:
            return None
        router = await self._loader.of_artefact(name, section, artefact)
        try:
            with as_artefact_errors():
                await self._warm_up(router)
        except BaseException:
            self._loader.release(router)
            raise
        return router

    def _swap(self, slot: _Slot, fresh: ServedRouter) -> None:
        old, slot.held = slot.held, _Held(fresh)
        old.retired = True
        self._release_if_over(old)
        _log_served(fresh)

    def _release_if_over(self, held: _Held) -> None:
        if held.retired and not held.users:
            self._loader.release(held.router)

    def _slot(self, name: str) -> _Slot:
        slot = self._slots.get(name or self._settings.router_of_requests_without())
        if slot is None:
            known = some_of(sorted(self._slots))
            raise RouterNotFoundError(f"No router is named {name!r}; this server has {known}.")
        return slot


async def _look(slot: _Slot) -> Fingerprint | None:
    """Looks at a directory; None where the look fails, which is logged once."""
    try:
        seen = await asyncio.to_thread(fingerprint, slot.directory)
    except Exception as error:  # noqa: BLE001  the watch goes on, whatever a file system says
        if not slot.blind:
            router = slot.held.router.name
            _log.error("watch", router=router, directory=str(slot.directory), error=place_of(error))
        slot.blind = True
        return None
    slot.blind = False
    return seen


def _log_served(router: ServedRouter) -> None:
    _log.info(
        "router",
        router=router.name,
        kind=router.router.kind,
        revision=router.revision,
        encoder=router.served.identity.revision,
    )


def _log_refused(name: str, error: Exception) -> None:
    if isinstance(error, EncodersError):
        _log.error("router_refused", router=name, reason=error.reason, error=str(error))
    else:
        _log.error("router_refused", router=name, reason="INTERNAL", error=place_of(error))
