"""Calls both clients in the same way, from a test that is asynchronous."""

import asyncio
from itertools import islice
from typing import Any

from pointsman.client import AsyncClient, Client


class BlockingDriver:
    """Calls the blocking client outside of the event loop that the fake server needs."""

    def __init__(self, target: str, **settings: Any) -> None:
        self.client = Client(target, **settings)

    async def call(self, method: str, *args: Any, **named: Any) -> Any:
        return await asyncio.to_thread(getattr(self.client, method), *args, **named)

    async def collect(
        self, method: str, *args: Any, most: int | None = None, **named: Any
    ) -> list[Any]:
        def consume() -> list[Any]:
            return list(islice(getattr(self.client, method)(*args, **named), most))

        return await asyncio.to_thread(consume)

    async def close(self) -> None:
        await asyncio.to_thread(self.client.close)


class AsyncDriver:
    """Calls the client for asyncio, with the same interface."""

    def __init__(self, target: str, **settings: Any) -> None:
        self.client = AsyncClient(target, **settings)

    async def call(self, method: str, *args: Any, **named: Any) -> Any:
        return await getattr(self.client, method)(*args, **named)

    async def collect(
        self, method: str, *args: Any, most: int | None = None, **named: Any
    ) -> list[Any]:
        collected: list[Any] = []
        stream = getattr(self.client, method)(*args, **named)
        async for each in stream:
            collected.append(each)
            if len(collected) == most:
                break
        await stream.aclose()
        return collected

    async def close(self) -> None:
        await self.client.close()
