"""Everything that stands before the first step."""

from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from encoders.training.data import TrainingData
from encoders.training.encoding import Inputs, Tokenised, compute, tokenise
from encoders.training.frozen import keep_frozen
from encoders.training.history import Watcher
from encoders.training.hyperparameters import Hyperparameters
from encoders.training.network import RouterNetwork
from encoders.training.optimisation import make_optimizer
from encoders.training.preparation import Preparation, needs_vectors, prepare
from encoders.training.source import Source, freeze, hidden_size
from encoders.training.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Setting:
    """The parts of a training."""

    accelerator: Accelerator
    source: Source
    hyperparameters: Hyperparameters
    network: nn.Module
    """A `RouterNetwork`, as `accelerate` wraps it."""
    optimizer: torch.optim.Optimizer
    inputs: Inputs
    """The rows to learn from."""
    groups: Tensor
    """(n,) int64 of those rows, on the device."""

    def plain_network(self) -> RouterNetwork:
        """The network without wrappers; it computes in fp32."""
        plain = self.accelerator.unwrap_model(self.network, keep_fp32_wrapper=False)
        assert isinstance(plain, RouterNetwork)  # noqa: S101 - it is what we gave
        return plain

    def running_network(self) -> nn.Module:
        """The network as it computes, without the wrapper of several processes."""
        running: nn.Module = self.accelerator.unwrap_model(self.network)
        return running


def make_setting(
    accelerator: Accelerator,
    data: TrainingData,
    source: Source,
    hyperparameters: Hyperparameters,
    space: Workspace,
    watcher: Watcher,
) -> Setting:
    """Loads the encoder, tokenises, groups, and starts the embeddings.

    Raises:
        TrainingError: Nothing can be frozen as asked, or the encoder gives NaN.
        EncoderInvalidError: The encoder is damaged, or max_tokens is out of its range.
    """
    watcher.stage("tokenising")
    tokenised = tokenise(data.prompts, source, hyperparameters.max_tokens)
    encoder = source.load(hyperparameters.dropout)
    if hyperparameters.freeze_layers is not None:
        freeze(encoder, hyperparameters.freeze_layers)
    dimension = hidden_size(encoder)
    empty = torch.zeros(len(data.models), dimension)
    network = RouterNetwork(
        encoder, empty, hyperparameters.pooling, hyperparameters.freeze_layers or 0
    ).to(accelerator.device)
    watcher.stage("running the layers that do not learn")
    inputs = above_frozen(network, hyperparameters, tokenised, accelerator)
    accelerator.wait_for_everyone()
    if not space.prepared.exists():
        vectors = None
        if needs_vectors(hyperparameters):
            watcher.stage("encoding all prompts, once")
            with accelerator.autocast():
                vectors = compute(network, inputs, accelerator).vectors
        if accelerator.is_main_process:
            watcher.stage("preparing groups and embeddings")
            prepare(hyperparameters, vectors, data.scores, dimension).write(space.prepared)
    accelerator.wait_for_everyone()
    prepared = Preparation.read(space.prepared)
    with torch.no_grad():
        network.llm_embeddings.copy_(torch.from_numpy(prepared.embeddings))
    optimizer = make_optimizer(network, hyperparameters)
    wrapped, wrapped_optimizer = accelerator.prepare(network, optimizer)
    groups = torch.from_numpy(prepared.groups).to(accelerator.device)
    return Setting(accelerator, source, hyperparameters, wrapped, wrapped_optimizer, inputs, groups)


def above_frozen(
    network: RouterNetwork,
    hyperparameters: Hyperparameters,
    tokenised: Tokenised,
    accelerator: Accelerator,
    *,
    beside: Inputs | None = None,
) -> Inputs:
    """The rows as the first layer that learns reads them, where layers are frozen.

    `beside` is what is kept already.
    """
    layers = hyperparameters.freeze_layers
    if layers is None:
        return tokenised
    return keep_frozen(network.encoder, layers, tokenised, accelerator, beside=beside)
