"""How the answers to a prompt lay, from the wire and back, beside a sample or an outcome."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pointsman.v1 import admin_service_pb2 as pb
from scoring.features import FEATURES
from scoring.memory import MeasuredAnswers
from scoring.pairs import pair_count
from server.conversion.checks import Checks
from server.settings import Settings

_FLOAT32 = np.dtype("<f4")

Message = pb.Sample | pb.Outcome
_Problem = Callable[[NDArray[np.float32]], str | None]


def write_answers(answers: MeasuredAnswers, message: Message) -> None:
    """Writes them into the message of their sample or outcome."""
    message.voters.extend(answers.voters)
    message.distances_float32_le = answers.pairs.astype(_FLOAT32).tobytes()
    if answers.features is not None:
        message.features_float32_le = answers.features.astype(_FLOAT32).tobytes()


def read_answers(
    message: Message, field: str, settings: Settings, checks: Checks
) -> MeasuredAnswers:
    """Reads them, and gathers what is wrong with them.

    Args:
        message: That bears them.
        field: Its path.
        settings: How many voters there may be.
        checks: Takes what is wrong.

    Raises:
        InvalidRequestError: There is no voter, or there are too many.
    """
    voters, most = tuple(message.voters), settings.memory.max_voters
    if not 1 <= len(voters) <= most:
        checks.refuse(
            f"{field}.voters",
            f"has {len(voters)} names; must have 1 to {most} (memory.max_voters)",
        )
        checks.raise_if_any()
    for index, voter in enumerate(voters):
        checks.name(voter, f"{field}.voters[{index}]")
    if len(set(voters)) != len(voters):
        checks.refuse(f"{field}.voters", "must name each voter once")
    size = pair_count(len(voters))
    pairs = _floats(message, field, "distances_float32_le", size, _distance_problem, checks)
    return MeasuredAnswers(voters, pairs, _features(message, field, checks))


def _features(message: Message, field: str, checks: Checks) -> NDArray[np.float32] | None:
    if not message.features_float32_le:
        return None
    size = len(message.voters) * len(FEATURES)
    floats = _floats(message, field, "features_float32_le", size, _feature_problem, checks)
    return floats.reshape(-1, len(FEATURES))


def _floats(
    message: Message, field: str, name: str, size: int, problem_of: _Problem, checks: Checks
) -> NDArray[np.float32]:
    raw: bytes = getattr(message, name)
    wanted = size * _FLOAT32.itemsize
    problem = None
    if len(raw) != wanted:
        problem = f"has {len(raw)} bytes where {len(message.voters)} voters need {wanted}"
    else:
        floats = np.frombuffer(raw, _FLOAT32).astype(np.float32)
        problem = problem_of(floats)
        if problem is None:
            return floats
    checks.refuse(f"{field}.{name}", problem)
    return np.empty(0, np.float32)


def _distance_problem(distances: NDArray[np.float32]) -> str | None:
    if np.isfinite(distances).all() and not (distances < 0).any():
        return None
    return "holds NaN, infinity or a negative number; distances are none of these"


def _feature_problem(features: NDArray[np.float32]) -> str | None:
    if not np.isinf(features).any():
        return None
    return "holds infinity; features are finite, or NaN where one is not known"
