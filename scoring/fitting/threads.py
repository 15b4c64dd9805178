"""Threads of the numerical libraries, kept from small problems."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """Within it, libraries compute on one thread.

    Steps of an optimiser are small: threads wait for each other longer than they work,
    most of all where other processes keep the cores busy. And they add up sums in
    another order from run to run.
    """
    limits: AbstractContextManager[Any] = _controller().limit(limits=1)
    return limits


@cache
def _controller() -> ThreadpoolController:
    """Looks once for the libraries that are loaded, which takes milliseconds."""
    return ThreadpoolController()
