"""States of a training on disk: tensors as safetensors, the rest as JSON in its header.

Nothing here is pickled, so nothing foreign is ever unpickled.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from encoders.training.errors import TrainingError

_KEY = "pointsman"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What lies in one file."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    """Of JSON values."""


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes a file beside its place and moves it there, so that none sees a part.

    Args:
        path: Its directory is made where it is missing.
        tensors: By name, of any device; tensors that share memory are copied.
        state: JSON values.

    Raises:
        TrainingError: It can't be written; what was there is as it was.
    """
    work = path.with_name(f".{path.name}.writing")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with resumable_writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file(plain, work, metadata={_KEY: json.dumps(state)})
            with work.open("rb") as file:
                os.fsync(file.fileno())
            work.replace(path)
        finally:
            work.unlink(missing_ok=True)


@contextmanager
def resumable_writing(path: Path) -> Iterator[None]:
    """Says what to do where something can't be written, such as for a full disk.

    Raises:
        TrainingError: In the place of what the system or safetensors raise.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainingError(
            f"{path} can't be written ({reason}); make room, and the same command goes on from "
            "the last checkpoint"
        ) from error


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Reads a file into memory; None where there is none.

    Raises:
        TrainingError: It is damaged, or not ours.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[_KEY])
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, state)  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(
            f"{path} is damaged; delete it, and the training starts again"
        ) from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments of an optimiser, by the number of their parameter."""
    return {
        f"{_OPTIMIZER}{number}.{name}": tensor
        for number, moments in optimizer.state_dict()["state"].items()
        for name, tensor in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Gives an optimiser the moments that `optimizer_tensors` took of one like it."""
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        if full.startswith(_OPTIMIZER):
            number, _, name = full.removeprefix(_OPTIMIZER).partition(".")
            state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


_OPTIMIZER = "optimizer."
