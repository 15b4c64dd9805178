"""Hot reload under load: callers route while the artefact is replaced, and once broken.

    python -m benchmarks.reload ROUTER [--callers 8] [--reloads 10]

A server is started over a copy of ROUTER, which must be an artefact. Callers route without a
pause. Meanwhile the copy is replaced by others that differ in their revision alone, loaded in turn
by the server's own watching and by ReloadRouter; then its arrays are damaged, which ReloadRouter
must refuse while the old revision stays in service; and then it is made whole again.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from encoders.artefact.bundle import Artefact, write_artefact
from pointsman.client import AsyncClient, PointsmanError
from tests.server_process import ServerProcess

NAME = "live"
PROMPT = "Which of these is an example of condensation?"
WAIT_SECONDS = 120.0


@dataclass(slots=True)
class Tally:
    """What the callers saw."""

    revisions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @property
    def requests(self) -> int:
        """How many calls were made."""
        return self.revisions.total() + self.failures.total()


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        live = Path(folder) / "router"
        shutil.copytree(arguments.router, live)
        settings = f"routers={{{NAME}: {{directory: {live}}}}}"
        flags = ("--set", settings, "--set", "watch_interval=0.2")
        with ServerProcess(Path(folder), *flags) as server:
            tally = asyncio.run(measure(server.target, live, arguments))
            assert server.alive()
    report(tally)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("router", type=Path)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--reloads", type=int, default=10)
    return parser.parse_args()


async def measure(target: str, live: Path, arguments: argparse.Namespace) -> Tally:
    original = Artefact.load(arguments.router)
    tally, done = Tally(), asyncio.Event()
    async with AsyncClient(target, timeout=60, retries=0) as client:
        callers = [asyncio.create_task(call(client, tally, done)) for _ in range(arguments.callers)]
        began = time.perf_counter()
        try:
            for number in range(arguments.reloads):
                await replace(client, original, live, number, by_call=number % 2 == 1)
            await corrupt(client, live)
            await replace(client, original, live, arguments.reloads, by_call=False)
        finally:
            done.set()
            await asyncio.gather(*callers)
    print(f"{tally.requests / (time.perf_counter() - began):.0f} requests a second")
    return tally


async def call(client: AsyncClient, tally: Tally, done: asyncio.Event) -> None:
    """Routes without a pause, and notes which revision answered."""
    while not done.is_set():
        began = time.perf_counter()
        try:
            result = await client.route(PROMPT, router=NAME)
        except PointsmanError as error:
            tally.failures[str(error)] += 1
        else:
            tally.revisions[result.router_revision] += 1
        tally.slowest = max(tally.slowest, time.perf_counter() - began)


async def replace(
    client: AsyncClient, original: Artefact, live: Path, number: int, *, by_call: bool
) -> None:
    """Puts another artefact in place, and waits until the server has it in service."""
    revision = await asyncio.to_thread(rewrite, original, live, number)
    began = time.perf_counter()
    if by_call:
        await client.reload_router(NAME)
    await in_service(client, revision)
    how = "by ReloadRouter" if by_call else "by watching"
    print(f"{revision} in service {how} after {time.perf_counter() - began:.2f} s")


def rewrite(original: Artefact, live: Path, number: int) -> str:
    """Writes the original with another note in its method; returns the revision."""
    draft = original.manifest.draft()
    draft = draft.model_copy(update={"method": {**draft.method, "rewritten": number}})
    encoder = original.directory / "encoder"
    return write_artefact(live, draft, original.arrays, encoder).revision


async def in_service(client: AsyncClient, revision: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while (await client.router(NAME)).revision != revision:
        assert time.monotonic() < deadline, "the new revision did not come into service in time"
        await asyncio.sleep(0.02)


async def corrupt(client: AsyncClient, live: Path) -> None:
    """Damages the artefact where it lies; the old one must stay in service, and say why."""
    before = await client.router(NAME)
    arrays = live / "arrays.safetensors"
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 0xFF
    arrays.write_bytes(content)
    try:
        await client.reload_router(NAME)
    except PointsmanError as error:
        print(f"the damaged artefact is refused: {error}")
    else:
        raise AssertionError("the damaged artefact was taken")
    after = await client.router(NAME)
    assert after.revision == before.revision
    assert after.last_error
    print(f"{after.revision} stays in service; last_error: {after.last_error}")


def report(tally: Tally) -> None:
    failed = tally.failures.total()
    print(f"\n{tally.requests} requests, {failed} failed, slowest {tally.slowest:.2f} s")
    for revision, count in tally.revisions.items():
        print(f"{count:>8} answered by {revision}")
    for failure, count in tally.failures.items():
        print(f"{count:>8} failed: {failure}")


if __name__ == "__main__":
    main()
