"""What earlier samples say: the two forms in which a memory hands it over."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Neighbourhood(NamedTuple):
    """The samples nearest to a prompt, without the current one.

    Attributes:
        voters: Names of the pool's V voters, in column order.
        rows: (k, V(V-1)/2) float32, squared distance of each pair of voters in
            each sample (columns as in `scoring.pairs`), NaN where it is missing.
        squared_distances: (k,) float32, prompt to prompt, ascending.
    """

    voters: tuple[str, ...]
    rows: NDArray[np.float32]
    squared_distances: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Sums over every live sample of a pool.

    Attributes:
        voters: Names of the pool's V voters, in column order.
        samples: How many samples are live.
        voter_samples: (V,) int64, samples in which the voter answered, with or
            without others.
        sums: (V(V-1)/2,) float64, of the pair's squared distances.
        counts: (V(V-1)/2,) int64, samples that have the pair.
        contrast_sums: (V(V-1)/2,) float64, of `scoring.kernels.row_contrasts`.
        contrast_squares: (V(V-1)/2,) float64, of their squares.
        contrast_counts: (V(V-1)/2,) int64, samples that have the contrast.
    """

    voters: tuple[str, ...]
    samples: int
    voter_samples: NDArray[np.int64]
    sums: NDArray[np.float64]
    counts: NDArray[np.int64]
    contrast_sums: NDArray[np.float64]
    contrast_squares: NDArray[np.float64]
    contrast_counts: NDArray[np.int64]
