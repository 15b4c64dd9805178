"""Our inference of TF-IDF and latent semantic analysis against scikit-learn's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from encoders import TfidfEncoder
from encoders.terms import terms
from encoders.training.tfidf import fit_tfidf

WORDS = ["sum", "of", "the", "integers", "capital", "France", "def", "return", "鲸", "哺乳动物"]
CHINESE = "以下哪一项不是哺乳动物鲸蝙蝠企鹅猫中国的首都是北京上海"


def corpus(seed=0):
    random = np.random.default_rng(seed)
    english = [" ".join(random.choice(WORDS, size=random.integers(1, 30))) for _ in range(60)]
    chinese = ["".join(random.choice(list(CHINESE), size=12)) for _ in range(30)]
    return [*english, *chinese, "", "x", "ÉCOLE école", "tab\tand\u3000wide", "1+1=2 ?"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Our encoder, and the same in scikit-learn: two analysers, side by side, projected."""
    folder = tmp_path_factory.mktemp("tfidf")
    texts = list(dict.fromkeys(corpus()))
    fit_tfidf(texts, folder, dimension=24)
    parts = {"min_df": 2, "sublinear_tf": True}
    union = FeatureUnion(
        [
            ("words", TfidfVectorizer(max_features=10_000, **parts)),
            (
                "grams",
                TfidfVectorizer(
                    analyzer="char_wb", ngram_range=(2, 4), max_features=30_000, **parts
                ),
            ),
        ]
    )
    counted = union.fit_transform(texts)
    return TfidfEncoder.load(folder), union, TruncatedSVD(24, random_state=0).fit(counted)


def expected(union, decomposition, texts):
    vectors = decomposition.transform(union.transform(texts))
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms, norms, 1)


def test_the_training_texts_have_scikit_learns_vectors(fitted):
    encoder, *twin = fitted
    encoded = encoder.encode(corpus())
    assert encoded.vectors.shape == (len(corpus()), 24)
    np.testing.assert_allclose(encoded.vectors, expected(*twin, corpus()), atol=1e-5)
    assert not encoded.truncated.any()


ALPHABET = st.characters(codec="utf-8", exclude_categories=["Cs"])
FAMILIAR = st.lists(st.sampled_from([*WORDS, *CHINESE, " ", "\n"])).map("".join)
TEXTS = st.lists(st.one_of(st.text(ALPHABET), FAMILIAR), min_size=1, max_size=6)


@settings(deadline=None)
@given(TEXTS)
def test_any_text_has_scikit_learns_vector(fitted, texts):
    encoder, union, decomposition = fitted
    raw = decomposition.transform(union.transform(texts))
    # What is left of a text almost without a direction is the rounding of float32.
    clear = np.linalg.norm(raw, axis=1) > 1e-2
    vectors = encoder.encode(texts).vectors
    np.testing.assert_allclose(
        vectors[clear], expected(union, decomposition, texts)[clear], atol=1e-5
    )


@given(st.text(), st.integers(1, 4), st.integers(0, 3))
def test_terms_are_those_of_scikit_learns_analysers(text, least, more):
    words = TfidfVectorizer().build_analyzer()(text)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(least, least + more)).build_analyzer()(
        text
    )
    found = list(terms(text, least, least + more))
    assert sorted(term for word, term in found if word) == sorted(words)
    assert sorted(term for word, term in found if not word) == sorted(grams)
