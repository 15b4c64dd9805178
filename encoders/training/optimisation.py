"""The optimiser, and the learning rates of each step."""

import math

import torch
from torch import nn

from encoders.training.hyperparameters import Hyperparameters, Schedule
from encoders.training.network import RouterNetwork

_MATRIX = 2


def make_optimizer(
    network: RouterNetwork, hyperparameters: Hyperparameters
) -> torch.optim.Optimizer:
    """AdamW over the encoder's matrices, its biases and norms, and the models' embeddings."""
    learning = [one for one in network.encoder.parameters() if one.requires_grad]
    encoder, models = (
        hyperparameters.encoder_learning_rate,
        hyperparameters.embedding_learning_rate,
    )
    matrices = [one for one in learning if one.dim() >= _MATRIX]
    others = [one for one in learning if one.dim() < _MATRIX]
    return torch.optim.AdamW(
        [
            _group(matrices, encoder, hyperparameters.weight_decay),
            _group(others, encoder, 0),
            # A cosine does not feel the length that decay would take from them.
            _group([network.llm_embeddings], models, 0),
        ],
        fused=True,
    )


def _group(
    parameters: list[nn.Parameter], learning_rate: float, weight_decay: float
) -> dict[str, object]:
    return {
        "params": parameters,
        "lr": learning_rate,
        "highest": learning_rate,
        "weight_decay": weight_decay,
    }


def set_learning_rates(
    optimizer: torch.optim.Optimizer, hyperparameters: Hyperparameters, step: int
) -> float:
    """Sets the rates of a step, counted from 0; gives the share of their highest."""
    share = learning_rate_share(hyperparameters, step)
    for group in optimizer.param_groups:
        group["lr"] = group["highest"] * share
    return share


def learning_rate_share(hyperparameters: Hyperparameters, step: int) -> float:
    """What part of the learning rates a step takes: rising first, then decaying to 0."""
    steps = hyperparameters.steps
    rising = math.ceil(steps * hyperparameters.warm_up)
    if step < rising:
        return (step + 1) / rising
    passed = (step - rising) / max(1, steps - rising)
    match hyperparameters.schedule:
        case Schedule.CONSTANT:
            return 1.0
        case Schedule.LINEAR:
            return 1 - passed
        case Schedule.COSINE:
            return (1 + math.cos(math.pi * passed)) / 2
