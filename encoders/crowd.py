"""Runs of a model on the CPU that are many and small: how they share the cores."""

from collections.abc import Mapping
from typing import Any

import onnxruntime
from numpy.typing import NDArray


class CrowdRuns:
    """Gives a run all the threads, or one where there are others; threads may share it.

    Two threads that work on one text of thirty tokens wait for each other at every operator: in
    int8 they are 1.5 times as fast as one, and two texts on one thread each 1.9 times.

    Args:
        whole: The model, with a thread for each core.
        single: The same, with the calling thread only.
    """

    def __init__(
        self, whole: onnxruntime.InferenceSession, single: onnxruntime.InferenceSession
    ) -> None:
        self._whole = whole
        self._single = single

    def run(self, output: str, feed: Mapping[str, NDArray[Any]], *, crowded: bool) -> object:
        """Runs the model once.

        Args:
            output: Name of the one that is wanted.
            feed: The inputs by name.
            crowded: Other threads run it at the same time, or soon.
        """
        session = self._single if crowded else self._whole
        (result,) = session.run([output], feed)
        return result
