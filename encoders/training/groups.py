"""Groups of like prompts: k-means on a t-SNE map, as RouterDC makes them."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

_MOST_MAPPED = 4000
_PERPLEXITY = 30.0


def group_prompts(
    vectors: NDArray[np.float32], count: int, seed: int, most_mapped: int = _MOST_MAPPED
) -> NDArray[np.int64]:
    """Groups prompts by the encoder's vectors, as RouterDC does before it trains.

    Of more prompts than `most_mapped` only a random part is mapped, since t-SNE grows
    faster than they do; each other prompt joins the group of its nearest mapped one.

    Args:
        vectors: (n, d), unit norm.
        count: Of groups; at most n.
        seed: Of t-SNE, k-means and the draw.
        most_mapped: Prompts that t-SNE sees.

    Returns:
        (n,) a group from 0 for each prompt.
    """
    random = np.random.default_rng(seed)
    mapped = np.sort(random.permutation(len(vectors))[:most_mapped])
    # On several threads sums differ from run to run, and t-SNE makes other maps of that.
    with threadpool_limits(limits=1):
        places = _map(vectors[mapped], seed)
        means = KMeans(min(count, len(mapped)), n_init=10, random_state=seed)
        clusters = means.fit_predict(places)
    nearest = (vectors @ vectors[mapped].T).argmax(axis=1)
    nearest[mapped] = np.arange(len(mapped))
    groups: NDArray[np.int64] = clusters.astype(np.int64)[nearest]
    return groups


def _map(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Two coordinates per vector; of four or fewer the vectors themselves."""
    if len(vectors) <= 2 * 2:
        return vectors
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    places: NDArray[np.float32] = tsne.fit_transform(vectors)
    return places
