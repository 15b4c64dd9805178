"""Learning a TF-IDF encoder from texts, with scikit-learn and no torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from threadpoolctl import threadpool_limits

from encoders.terms import WORD
from encoders.tfidf import Vocabulary, write_tfidf
from encoders.training.errors import TrainingError

DIMENSION = 256
LEAST_CHARACTERS, MOST_CHARACTERS = 2, 4
MOST_WORDS = 10_000
MOST_GRAMS = 30_000
"""Of each sort, the terms that stand in the most places are kept."""
_LEAST_TEXTS = 2


def fit_tfidf(
    texts: Sequence[str], out: Path, *, dimension: int = DIMENSION, seed: int = 0
) -> None:
    """Learns what to count from texts, and writes the encoder.

    Terms that stand in one text only are left out, unless too few are left.

    Args:
        texts: n texts; equal ones count once.
        out: Directory; files in it are replaced.
        dimension: Of the vectors; fewer where the texts have no more directions.
        seed: Of the randomised decomposition.

    Raises:
        TrainingError: The texts hold fewer than two terms.
        OSError: The directory can't be written.
    """
    distinct = list(dict.fromkeys(texts))
    for least_texts in (_LEAST_TEXTS, 1):
        union = _vectorizers(least_texts)
        try:
            counted = union.fit_transform(distinct)
            break
        except ValueError:  # so says scikit-learn where no term is left
            continue
    else:
        raise TrainingError("the prompts hold no terms to count; train with --features sentence")
    components = min(dimension, min(counted.shape) - 1)
    if components < 1:
        raise TrainingError("the prompts hold too few terms; train with --features sentence")
    # Its many small products are slower by several threads, and differ with their number.
    with threadpool_limits(1):
        decomposition = TruncatedSVD(components, random_state=seed).fit(counted)
    words, grams = (each for _, each in union.transformer_list)
    write_tfidf(
        out,
        Vocabulary(
            words=tuple(words.get_feature_names_out()),
            grams=tuple(grams.get_feature_names_out()),
            least=LEAST_CHARACTERS,
            most=MOST_CHARACTERS,
            idf=np.concatenate([words.idf_, grams.idf_]).astype(np.float32),
            projection=np.ascontiguousarray(decomposition.components_.T, np.float32),
        ),
    )


def _vectorizers(least_texts: int) -> FeatureUnion:
    """Words and n-grams, each with unit norm, side by side."""
    words = TfidfVectorizer(
        token_pattern=WORD, min_df=least_texts, max_features=MOST_WORDS, sublinear_tf=True
    )
    grams = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(LEAST_CHARACTERS, MOST_CHARACTERS),
        min_df=least_texts,
        max_features=MOST_GRAMS,
        sublinear_tf=True,
    )
    return FeatureUnion([("words", words), ("grams", grams)])
