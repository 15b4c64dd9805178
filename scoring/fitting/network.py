"""A network of one hidden layer, learned by Adam in plain NumPy."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.fitting.threads import one_thread
from scoring.routers.linear import sigmoid

Floats = NDArray[np.float64]

_BATCH = 128
_DECAYS = (0.9, 0.999)
_TINY = 1e-8


class Network(NamedTuple):
    """sigmoid(weights max(0, hidden_weights phi + hidden_biases) + biases)."""

    hidden_weights: Floats
    """(units, d)."""
    hidden_biases: Floats
    """(units,)."""
    weights: Floats
    """(K, units)."""
    biases: Floats
    """(K,)."""


class Course(NamedTuple):
    """How a network is learned."""

    units: int
    """In the hidden layer."""
    steps: int
    """Of Adam, each over a batch of 128 rows; every pass over the rows has a new order."""
    learning_rate: float
    """At the start."""
    weight_decay: float
    """Of the weights, not of the biases."""


def fit_network(features: Floats, targets: Floats, course: Course, seed: int) -> Network:
    """Minimises the mean cross-entropy to the targets (Kingma and Ba, "Adam", ICLR 2015).

    Weights decay apart from the slope (Loshchilov and Hutter, ICLR 2019), the rate
    falls to 0 linearly, and the start is He's.

    Args:
        features: (n, d).
        targets: (n, K) from 0 to 1, NaN where unknown.
        course: How.
        seed: Of the start and the orders.
    """
    rng = np.random.default_rng(seed)
    network = _start(features.shape[1], course.units, targets, rng)
    adam = _Adam(network, course.weight_decay)
    with one_thread():
        for rows in itertools.islice(_batches(len(features), rng), course.steps):
            rate = course.learning_rate * (1 - adam.steps / course.steps)
            adam.step(slopes_of(network, features[rows], targets[rows]), rate)
    return network


def _batches(rows: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    while True:
        order = rng.permutation(rows)
        yield from (order[first : first + _BATCH] for first in range(0, rows, _BATCH))


class _Adam:
    """Moves a network against its slopes, in place."""

    def __init__(self, network: Network, weight_decay: float) -> None:
        self._network = network
        self._weight_decay = weight_decay
        self._momenta = [np.zeros_like(part) for part in network]
        self._squares = [np.zeros_like(part) for part in network]
        self.steps = 0

    def step(self, slopes: Network, rate: float) -> None:
        self.steps += 1
        bias, square_bias = (1 - decay**self.steps for decay in _DECAYS)
        state = zip(self._network, slopes, self._momenta, self._squares, strict=True)
        for part, slope, momentum, square in state:
            _decay_to(momentum, slope, _DECAYS[0])
            _decay_to(square, slope * slope, _DECAYS[1])
            change = (momentum / bias) / (np.sqrt(square / square_bias) + _TINY)
            if part.ndim == 2:
                change += self._weight_decay * part
            np.subtract(part, rate * change, out=part)


def slopes_of(network: Network, features: Floats, targets: Floats) -> Network:
    """Returns the slope of the mean cross-entropy over what is known, by each part."""
    known = ~np.isnan(targets)
    sums = features @ network.hidden_weights.T + network.hidden_biases
    units = np.maximum(sums, 0.0)
    chances = sigmoid(units @ network.weights.T + network.biases)
    apart = np.where(known, chances - targets, 0.0) / max(int(known.sum()), 1)
    back = (apart @ network.weights) * (sums > 0)
    return Network(back.T @ features, back.sum(axis=0), apart.T @ units, apart.sum(axis=0))


def _start(dimension: int, units: int, targets: Floats, rng: np.random.Generator) -> Network:
    known = ~np.isnan(targets)
    shares = np.where(known, targets, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    kept = np.clip(shares, 1e-3, 1 - 1e-3)
    return Network(
        # Features have length 1, not 1 in each coordinate: He's start for them.
        rng.normal(scale=np.sqrt(2.0), size=(units, dimension)),
        np.zeros(units),
        rng.normal(scale=np.sqrt(1.0 / units), size=(targets.shape[1], units)),
        np.log(kept / (1 - kept)),
    )


def _decay_to(average: Floats, latest: Floats, decay: float) -> None:
    average *= decay
    average += (1 - decay) * latest
