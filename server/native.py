"""What native libraries read from the environment, set before any of them is imported."""

import os

_VARIABLES = (
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


def limit_native_threads(cores: int) -> None:
    """Keeps native libraries to the cores that the cgroup grants.

    A container limited to half a core still shows every core of its node, and each library
    would start a thread for each. Must run before NumPy or Numba are imported; a variable
    that is set already stays.

    Args:
        cores: Cores that this process may use.
    """
    for variable in _VARIABLES:
        os.environ.setdefault(variable, str(cores))


def quieten_grpc() -> None:
    """Keeps gRPC's own lines out of our structured log; its errors reach us as exceptions."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
