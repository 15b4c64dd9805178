"""How kernels are compiled: lazily, mostly without the interpreter lock, NaN kept.

Kernels spell out their loops. NumPy's functions would read shorter, but each that
a kernel names is compiled with it, and a server compiles before it is ready.

`fastmath` in full would delete `isnan`; reassociation and contraction are what
makes sums fast, and keep it.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": {"reassoc", "contract"},
    "error_model": "numpy",  # a division by zero is an infinity, not a branch
    "no_cfunc_wrapper": True,  # nobody calls kernels from C
}
_one_thread_at_a_time = threading.Lock()
_dispatchers: list[Any] = []


def dispatchers() -> tuple[Any, ...]:
    """Returns Numba's dispatcher of every kernel that is defined so far."""
    return tuple(_dispatchers)


def _dispatcher(function: Callable[..., Any], **options: bool) -> Any:  # noqa: ANN401  Numba has no types
    dispatcher = numba.njit(**(_OPTIONS | options))(function)
    _dispatchers.append(dispatcher)
    return dispatcher


def request_kernel(function: F) -> F:
    """Compiles a serial kernel, for work of the size of a request."""
    return cast("F", _dispatcher(function))


def brief_kernel(function: F) -> F:
    """Compiles a serial kernel that keeps the interpreter, for work of a few microseconds.

    A thread that lets go of it while another waits may get it back half a millisecond later.
    """
    return cast("F", _dispatcher(function, nogil=False))


class DatasetKernel(Generic[P, R]):
    """A parallel kernel, for whole data sets, that one thread enters at a time.

    Two threads inside parallel kernels abort the process where Numba runs on
    its `workqueue` layer.
    """

    __slots__ = ("compiled",)

    def __init__(self, function: Callable[P, R]) -> None:
        self.compiled = _dispatcher(function, parallel=True)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the kernel, after any other parallel kernel has finished."""
        with _one_thread_at_a_time:
            return cast("R", self.compiled(*args, **kwargs))
