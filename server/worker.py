"""Where recall, estimates and choices run: in a thread of their own, or at once where that is idle.

To hand work to a thread and be woken by its result costs 0.1 ms, which is more than most of this
work takes. So what is small runs on the event loop while nothing else is in flight: nobody is
held up then. What is large, or comes while others are in work, goes to the thread, where compiled
kernels and searches leave the interpreter to the loop. (Neighbours of requests to score have a
way of their own: `server.recalls`.)
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class EstimateWorker:
    """Runs the work of requests that have their vectors. Used from the event loop only.

    Args:
        thread: The one thread for what does not run at once.
        alone: Whether the current request is the only one in flight.
    """

    def __init__(self, thread: Executor, alone: Callable[[], bool]) -> None:
        self._thread = thread
        self._alone = alone

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs work of any size in the thread."""
        loop = asyncio.get_running_loop()
        if kwargs:
            return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))
        return await loop.run_in_executor(self._thread, work, *args)

    async def run_small(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs work of some 0.1 ms at once where nobody is held up by it, else in the thread."""
        if self._alone():
            return work(*args, **kwargs)
        return await self.run(work, *args, **kwargs)
