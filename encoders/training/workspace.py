"""The directory in which a training keeps what it needs to go on."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from encoders.training.checkpoints import Checkpoint, read_checkpoint
from encoders.training.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the files of one training lie."""

    directory: Path
    identity: str
    """Hash of all that decides the outcome."""

    @property
    def prepared(self) -> Path:
        """Groups, and where the embeddings began."""
        return self.directory / "prepared.safetensors"

    @property
    def checkpoint(self) -> Path:
        """All that the next step needs."""
        return self.directory / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        """The weights of the best evaluation."""
        return self.directory / "best.safetensors"

    @property
    def encoder(self) -> Path:
        """The trained encoder, in the end."""
        return self.directory / "encoder"

    @property
    def curve(self) -> Path:
        """The picture."""
        return self.directory / "curve.png"

    @property
    def metrics(self) -> Path:
        """A line per evaluation."""
        return self.directory / "metrics.jsonl"

    def open(self) -> None:
        """Makes the directory, or makes sure that it is of this training.

        Raises:
            TrainingError: It is of another one, or can't be written.
        """
        mark = self.directory / "training.json"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if not mark.exists() and not any(self.directory.iterdir()):
                mark.write_text(json.dumps({"identity": self.identity}), encoding="utf-8")
            found = json.loads(mark.read_bytes())
        except (OSError, ValueError) as error:
            message = f"{self.directory} can't be used for checkpoints; name another directory"
            raise TrainingError(message) from error
        if found != {"identity": self.identity}:
            message = (
                f"{self.directory} holds a training with other data or hyper-parameters, or in "
                "another precision or number of processes; delete it, or give --restart"
            )
            raise TrainingError(message)

    def read_best(self) -> Checkpoint:
        """The weights of the best evaluation.

        Raises:
            TrainingError: They are missing or damaged.
        """
        found = read_checkpoint(self.best)
        if found is None:
            raise TrainingError(f"{self.best} is missing; give --restart to train anew")
        return found


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keeps other trainings off a directory, which is made where it is missing.

    The lock is on the directory itself and ends with the process, however that ends. A
    directory that is still empty in the end is removed.

    Raises:
        TrainingError: Another process holds it, or it can't be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        message = f"{directory} can't be used for checkpoints; name another directory"
        raise TrainingError(message) from error
    try:
        _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)
        with suppress(OSError):
            directory.rmdir()


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"another training uses {directory}; wait for it, or name another directory"
        raise TrainingError(message) from None
    except OSError:
        # A file system without locks; the mark in the directory still tells trainings apart.
        return
