"""ONNX Runtime: the model, the provider that it really runs on, and its inputs."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import DTypeLike, NDArray

from encoders.batches import ALONE, CPU, GPU, Limits
from encoders.crowd import CrowdRuns
from encoders.device import DeviceRuns
from encoders.errors import EncoderInvalidError, ProviderUnavailableError

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_INTEGERS: dict[str, DTypeLike] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_POOLED = "sentence_embedding"
_PER_TOKEN = ("last_hidden_state", "token_embeddings")
_ERRORS_ONLY = 3
_CUDA_OPTIONS = {
    # Runs come in few shapes, so what the arena has is soon enough, and the rest of the card is
    # left to others.
    "arena_extend_strategy": "kSameAsRequested",
    # A recorded graph has one shape and one run at a time; here both vary.
    "enable_cuda_graph": "0",
    # The revision promises vectors that are comparable with a CPU's; fp16 is what trades them.
    "use_tf32": "0",
}
RUNS_ALONE = "pointsman.runs_alone"
"""In the metadata of a model in which texts that run together change each other's vectors."""


class Provider(enum.StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    """CUDA where it is usable, else the CPU."""
    CPU = "cpu"
    CUDA = "cuda"
    """CUDA or nothing."""


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded model; threads may share it."""

    session: onnxruntime.InferenceSession
    inputs: dict[str, DTypeLike]
    """The inputs that the model declares, with their integer types."""
    output: str
    pooled: bool
    """The output has no axis of tokens; else it is (n, t, d)."""
    runs_alone: bool
    """Texts must not run together: the model scales the activations of a run by one number."""
    device: DeviceRuns | None
    """How it runs on a card; None on the CPU."""
    crowd: CrowdRuns | None
    """How runs of single texts share several threads; None where texts run together."""

    @classmethod
    def load(
        cls, model: Path, *, provider: Provider, threads: int, output: str | None = None
    ) -> Self:
        """Loads an ONNX model.

        Args:
            model: The file.
            provider: Where it runs.
            threads: Of ONNX Runtime.
            output: Name of the output, (n, ...); that of an encoder's vectors if None.

        Raises:
            EncoderInvalidError: The file is no ONNX model, or has other inputs or outputs.
            ProviderUnavailableError: CUDA was asked for and is not usable.
        """
        session = _open(model, provider, threads)
        inputs = {node.name: _integer_type(model, node) for node in session.get_inputs()}
        if "input_ids" not in inputs:
            raise EncoderInvalidError(f"{model} has no input named input_ids; export it again")
        pooled = output is not None
        if output is None:
            output = _choose_output(model, session.get_outputs())
            pooled = output == _POOLED
        elif output not in [node.name for node in session.get_outputs()]:
            raise EncoderInvalidError(f"{model} has no output named {output}; export it again")
        device = DeviceRuns(session, output) if _on_cuda(session) else None
        runs_alone = RUNS_ALONE in session.get_modelmeta().custom_metadata_map
        crowd = None
        if runs_alone and device is None and threads > 1:
            crowd = CrowdRuns(session, _open(model, Provider.CPU, threads=1))
        return cls(
            session=session,
            inputs=inputs,
            output=output,
            pooled=pooled,
            runs_alone=runs_alone,
            device=device,
            crowd=crowd,
        )

    @property
    def limits(self) -> Limits:
        """How large a run may be."""
        if self.runs_alone:
            return ALONE
        return CPU if self.on_cpu else GPU

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider really in use."""
        return str(self.session.get_providers()[0])

    @property
    def threads(self) -> int:
        """Threads of one run that is alone, the calling one included."""
        return int(self.session.get_session_options().intra_op_num_threads)

    @property
    def runs_at_a_time(self) -> int:
        """How many runs together are faster than one after the other."""
        return self.threads if self.crowd else 1

    @property
    def on_cpu(self) -> bool:
        """Whether the model runs on the CPU."""
        return self.provider == _CPU

    def run(
        self, ids: NDArray[np.int64], mask: NDArray[np.int64], *, crowded: bool = False
    ) -> NDArray[np.float32]:
        """Runs the model on texts.

        Args:
            ids: (n, t) token ids.
            mask: (n, t), 1 for a token.
            crowded: Other threads run it at the same time, or soon.

        Returns:
            What `pooled` says.
        """
        offered = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
        }
        if self.device is not None:
            return np.asarray(self.device.run(offered, self.inputs), dtype=np.float32)
        feed = {
            name: offered[name].astype(integer, copy=False) for name, integer in self.inputs.items()
        }
        if self.crowd is not None:
            result = self.crowd.run(self.output, feed, crowded=crowded)
            return np.asarray(result, dtype=np.float32)
        (result,) = self.session.run([self.output], feed)
        return np.asarray(result, dtype=np.float32)


def _open(model: Path, provider: Provider, threads: int) -> onnxruntime.InferenceSession:
    if provider is not Provider.CPU and _CUDA in onnxruntime.get_available_providers():
        session = _try_cuda(model, threads)
        if session is not None:
            return session
    if provider is Provider.CUDA:
        message = (
            "CUDA was asked for and can't be used here; install onnxruntime-gpu and check the "
            "driver, or choose the provider cpu"
        )
        raise ProviderUnavailableError(message, field="provider")
    try:
        return _create(model, threads, [_CPU])
    except Exception as error:
        message = f"{model} is not a model that ONNX Runtime can load; fetch or export it again"
        raise EncoderInvalidError(message) from error


def _try_cuda(model: Path, threads: int) -> onnxruntime.InferenceSession | None:
    """A session on CUDA; None where it can't be made, or came out on the CPU."""
    try:
        session = _create(model, threads, [_CUDA, _CPU])
    except Exception:  # noqa: BLE001  # ONNX Runtime's errors have no class in common
        return None
    return session if _on_cuda(session) else None


def _on_cuda(session: onnxruntime.InferenceSession) -> bool:
    return bool(session.get_providers()[0] == _CUDA)


def _create(model: Path, threads: int, providers: list[str]) -> onnxruntime.InferenceSession:
    options = [_CUDA_OPTIONS if provider == _CUDA else {} for provider in providers]
    # Its own fallback would move the work to the CPU and print that it did.
    return onnxruntime.InferenceSession(
        str(model),
        _options(threads, providers),
        providers=providers,
        provider_options=options,
        enable_fallback=0,
    )


def _options(threads: int, providers: list[str]) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    # A thread that spins while it waits takes the core from the rest of the process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if providers == [_CPU]:
        # There what it makes takes several times as long as what it is made of.
        options.add_session_config_entry(
            "optimization.disable_specified_optimizers", "SkipLayerNormFusion"
        )
    return options


def _integer_type(model: Path, node: onnxruntime.NodeArg) -> DTypeLike:
    if node.name not in _KNOWN_INPUTS or node.type not in _INTEGERS:
        known = ", ".join(sorted(_KNOWN_INPUTS))
        message = f"{model} wants the input {node.name} as {node.type}; only {known} are fed"
        raise EncoderInvalidError(message)
    if any(isinstance(size, int) for size in node.shape):
        message = f"{model} has a fixed shape for {node.name}; export it with dynamic axes"
        raise EncoderInvalidError(message)
    return _INTEGERS[node.type]


def _choose_output(model: Path, nodes: list[onnxruntime.NodeArg]) -> str:
    names = [node.name for node in nodes]
    for name in (_POOLED, *_PER_TOKEN):
        if name in names:
            return name
    for node in nodes:
        if node.shape is not None and len(node.shape) == 3:
            return str(node.name)
    message = f"{model} gives neither {_POOLED} nor one vector per token; export it again"
    raise EncoderInvalidError(message)
