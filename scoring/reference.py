"""Slow twins in float64 NumPy, written from the definitions, for comparison."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scoring.pairs import pair_column, pair_count

Floats = NDArray[np.float64]


def pair_means(embeddings: NDArray[np.floating]) -> Floats:
    """Returns the mean squared distance of each two voters.

    Args:
        embeddings: (n, K, d).

    Returns:
        (K(K-1)/2,) float64, columns as in `scoring.pairs`.
    """
    voters = np.asarray(embeddings, np.float64).swapaxes(0, 1)
    means = np.empty(pair_count(len(voters)))
    for i, j in combinations(range(len(voters)), 2):
        means[pair_column(i, j)] = np.square(voters[i] - voters[j]).sum(axis=1).mean()
    return means


def triplet_noise(embeddings: NDArray[np.floating]) -> Floats:
    """Estimates noise by the definition of the paper, triplet by triplet.

    For every voter, the mean of (d_ij + d_ik - d_jk) / 2 over all pairs j < k of
    the others (Guha et al., NeurIPS 2024).

    Args:
        embeddings: (n, K, d).

    Returns:
        (K,) float64, NaN with fewer than three voters.
    """
    means, voters = pair_means(embeddings), np.shape(embeddings)[1]
    noise = np.full(voters, np.nan)
    for i in range(voters if voters > 2 else 0):
        others = [voter for voter in range(voters) if voter != i]
        noise[i] = np.mean([_triplet(means, i, j, k) for j, k in combinations(others, 2)])
    return noise


def _triplet(means: Floats, i: int, j: int, k: int) -> float:
    ij, ik, jk = (means[pair_column(*pair)] for pair in ((i, j), (i, k), (j, k)))
    return float(0.5 * (ij + ik - jk))


def reference_weights(noise: Floats, dimension: int) -> Floats:
    """Returns the authors' weights, theta_i = d / (2 noise_i) over their sum.

    They choose the voter of largest weight. Where a noise is zero the weights are
    NaN; where one is negative, weights are negative and the best voter may come
    last.

    Args:
        noise: (K,) noise variances.
        dimension: d.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = dimension / (2 * np.asarray(noise, np.float64))
        return np.asarray(theta / theta.sum())


def closed_form_noise(means: Floats, voters: int) -> Floats:
    """Returns [(K-1) S_i - T] / [(K-1)(K-2)], S_i = sum_j d_ij and T = sum_{j<k} d_jk.

    Args:
        means: (K(K-1)/2,) mean squared distances.
        voters: K, at least 3.
    """
    sums = np.zeros(voters)
    for i, j in combinations(range(voters), 2):
        sums[[i, j]] += means[pair_column(i, j)]
    return np.asarray(((voters - 1) * sums - np.sum(means)) / ((voters - 1) * (voters - 2)))


def least_squares_noise(means: Floats, counts: Sequence[int], voters: int) -> Floats:
    """Minimises sum_ij counts_ij (d_ij - noise_i - noise_j)^2 by singular values.

    Args:
        means: (V(V-1)/2,) mean squared distances; those without samples aren't
            read.
        counts: (V(V-1)/2,) samples that have the pair.
        voters: V.

    Returns:
        (V,) float64; NaN where noise isn't identified, that is, where the voter's
        unit vector is outside the row space of the equations.
    """
    pairs = [pair for pair in combinations(range(voters), 2) if counts[pair_column(*pair)]]
    design, wanted = np.zeros((len(pairs), voters)), np.zeros(len(pairs))
    for row, pair in enumerate(pairs):
        root = np.sqrt(counts[pair_column(*pair)])
        design[row, list(pair)] = root
        wanted[row] = root * means[pair_column(*pair)]
    inverse = np.linalg.pinv(design)
    missed = np.abs(np.eye(voters) - inverse @ design).max(axis=1)
    return np.where(missed < 1e-6, inverse @ wanted, np.nan)


def reference_features(
    voters: Sequence[str],
    prompt: NDArray[np.floating],
    vectors: NDArray[np.floating],
    texts: Sequence[str] | None,
) -> Floats:
    """Returns relevance and log length of each voter, answer by answer.

    Args:
        voters: Who gave each of g answers.
        prompt: (d,) embedding of the prompt.
        vectors: (g, d) embeddings of the answers.
        texts: (g,) the answers themselves, or None.

    Returns:
        (K, 2) float64, voters in order of first appearance; NaN where unknown.
    """
    rows = []
    for voter in dict.fromkeys(voters):
        own = [index for index, name in enumerate(voters) if name == voter]
        cosines = [_cosine(np.asarray(prompt, np.float64), vectors[index]) for index in own]
        lengths = [np.nan if texts is None else np.log(1 + len(texts[index])) for index in own]
        rows.append((np.mean(cosines), np.mean(lengths)))
    return np.array(rows)


def _cosine(one: Floats, other: NDArray[np.floating]) -> float:
    wide = np.asarray(other, np.float64)
    lengths = np.sqrt(np.sum(one**2)) * np.sqrt(np.sum(wide**2))
    return float(np.sum(one * wide) / lengths) if lengths else 0.0


def pairwise_strengths(wins: Sequence[Sequence[float]]) -> list[float]:
    """Returns for each of g answers the mean probability of beating another; 0.5 of a lone one."""
    rows = [[win for j, win in enumerate(row) if j != i] for i, row in enumerate(wins)]
    return [sum(row) / len(row) if row else 0.5 for row in rows]
