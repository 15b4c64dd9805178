"""What RoutePrompt and ScoreGenerations do, as custom runtimes of MLServer.

MLServer imports this file in an environment of its own (`make mlserver`), with the root of this
repository on its path: encoder, router and estimator are the very code that Pointsman serves with,
so that what differs is the service around them. `benchmarks/speed/services.py` writes the settings
and starts it. Their `parameters.extra`:

    encoder: "served" for `encoders.SentenceEncoder`, "plain" for what one would write in a hurry:
        a batch padded to its longest text, in one run.
    directory: of the encoder.
    threads: of ONNX Runtime.
    off_loop: predicts in a thread, so that the loop goes on reading requests.
    router: directory of the artefact whose models are scored (`RouteRuntime`).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from numpy.typing import NDArray
from tokenizers import Tokenizer

from encoders import Artefact, Provider, SentenceEncoder
from encoders.pooling import Pooling, pool, to_unit_norm
from encoders.session import Network
from scoring import estimate_alone, measure_answers, rank_generations, warm_up
from scoring.routers import CosineRouter

DIMENSION = 384
"""Of vectors that come as bytes."""


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodes n texts; shape (n, d)."""


class ServedEncoder:
    """The encoder that Pointsman serves with, its grouping by length included."""

    def __init__(self, directory: Path, threads: int) -> None:
        self._encoder = SentenceEncoder.load(directory, provider=Provider.CPU, threads=threads)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodes n texts; shape (n, d)."""
        return self._encoder.encode(texts).vectors


class PlainEncoder:
    """The same model and tokenizer, one padded run for each batch."""

    def __init__(self, directory: Path, threads: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.enable_truncation(max_length=256)
        self._tokenizer.enable_padding()
        self._network = Network.load(
            directory / "model.onnx", provider=Provider.CPU, threads=threads
        )

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodes n texts; shape (n, d)."""
        found = self._tokenizer.encode_batch_fast(list(texts))
        ids = np.array([each.ids for each in found], np.int64)
        mask = np.array([each.attention_mask for each in found], np.int64)
        return to_unit_norm(pool(Pooling.MEAN, self._network.run(ids, mask), mask))


class Runtime(MLModel, ABC):
    """What both runtimes share: an encoder, and perhaps a thread to run in."""

    async def load(self) -> bool:
        """Loads the encoder and runs it once."""
        extra = self.settings.parameters.extra
        make = ServedEncoder if extra["encoder"] == "served" else PlainEncoder
        self._encode: Encoder = make(Path(extra["directory"]), extra["threads"])
        self._encode(["What is warm?"])
        self._thread = ThreadPoolExecutor(1) if extra["off_loop"] else None
        self.prepare(extra)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answers one request, or a batch that MLServer made of several."""
        if self._thread is None:
            return self.answer(payload)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.answer, payload)

    @abstractmethod
    def prepare(self, extra: dict[str, Any]) -> None:
        """Loads what else is needed."""

    @abstractmethod
    def answer(self, payload: InferenceRequest) -> InferenceResponse:
        """Does the work."""

    def reply(self, *outputs: ResponseOutput) -> InferenceResponse:
        """Wraps outputs."""
        return InferenceResponse(
            model_name=self.name, model_version=self.version, outputs=list(outputs)
        )


class RouteRuntime(Runtime):
    """The input is "prompt", BYTES (n, 1); the outputs are "model" (n, 1) and "scores" (n, K)."""

    def prepare(self, extra: dict[str, Any]) -> None:
        """Loads the embeddings of the models."""
        artefact = Artefact.load(Path(extra["router"]))
        self._router = CosineRouter("routerdc", artefact.models, artefact.arrays["llm_embeddings"])

    def answer(self, payload: InferenceRequest) -> InferenceResponse:
        """Scores every model, and chooses one for each prompt."""
        prompts = StringCodec.decode_input(payload.inputs[0])
        scores = self._router.score(self._encode(prompts)).scores
        models = self._router.models()
        chosen = [models[best] for best in scores.argmax(axis=1)]
        return self.reply(
            StringCodec.encode_output("model", chosen), NumpyCodec.encode_output("scores", scores)
        )


class ScoreRuntime(Runtime):
    """The input is "texts", BYTES (n, 1 + K): a prompt and its K answers.

    The outputs are as `ranked` says.
    """

    def prepare(self, extra: dict[str, Any]) -> None:  # noqa: ARG002  this one needs no more
        """Compiles the kernels."""
        warm_up()

    def answer(self, payload: InferenceRequest) -> InferenceResponse:
        """Ranks the answers to each prompt."""
        (texts,) = payload.inputs
        vectors = self._encode(StringCodec.decode_input(texts))
        return self.reply(*ranked(vectors.reshape(*texts.shape, -1)[:, 1:]))


class VectorRuntime(Runtime):
    """The input is "vectors": FP32 (n, K, d), or BYTES (n, 1), K vectors in each element.

    The outputs are as `ranked` says.
    """

    def prepare(self, extra: dict[str, Any]) -> None:  # noqa: ARG002  this one needs no more
        """Compiles the kernels."""
        warm_up()

    def answer(self, payload: InferenceRequest) -> InferenceResponse:
        """Ranks the answers to each prompt."""
        (vectors,) = payload.inputs
        if vectors.datatype == "BYTES":
            rows = [np.frombuffer(each, np.float32) for each in vectors.data]
            return self.reply(*ranked(np.stack(rows).reshape(len(rows), -1, DIMENSION)))
        return self.reply(*ranked(NumpyCodec.decode_input(vectors)))


def ranked(answers: NDArray[np.float32]) -> list[ResponseOutput]:
    """Returns "best" INT64 (n, 1), and (n, K) "noise", "weight" and "rank" of answers (n, K, d)."""
    found = [_estimate(each) for each in answers]
    noise, weight, rank = (np.stack(each) for each in zip(*found, strict=True))
    return [
        NumpyCodec.encode_output("best", rank.argmin(axis=1)[:, None]),
        NumpyCodec.encode_output("noise", noise),
        NumpyCodec.encode_output("weight", weight),
        NumpyCodec.encode_output("rank", rank),
    ]


def _estimate(
    answers: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Returns noise, weight and rank (K,) of the answers (K, d) to one prompt."""
    measured = measure_answers([str(voter) for voter in range(len(answers))], answers)
    estimate = estimate_alone(measured)
    ranking = rank_generations(measured, estimate)
    return estimate.noise_variance, estimate.weight, ranking.rank
