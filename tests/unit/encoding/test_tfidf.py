import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from encoders import EncoderInvalidError, EncoderNotFoundError, Provider, load_any_encoder
from encoders.loading import encoder_files
from encoders.tfidf import TfidfEncoder, Vocabulary, write_tfidf
from encoders.training.errors import TrainingError
from encoders.training.tfidf import fit_tfidf

WORDS, GRAMS = ("cat", "dog"), (" c", "ca", "at", "t ", " d", "鲸鱼")


def vocabulary(**changes):
    random = np.random.default_rng(0)
    count = len(WORDS) + len(GRAMS)
    values = {
        "words": WORDS,
        "grams": GRAMS,
        "least": 2,
        "most": 2,
        "idf": np.linspace(1, 2, count, dtype=np.float32),
        "projection": random.normal(size=(count, 3)).astype(np.float32),
    }
    return Vocabulary(**(values | changes))


@pytest.fixture
def folder(tmp_path):
    write_tfidf(tmp_path / "encoder", vocabulary())
    return tmp_path / "encoder"


def test_a_text_by_hand(folder):
    encoder = TfidfEncoder.load(folder)
    (tokens,) = encoder.tokenise(["Cat, the cat"])
    # "cat," has no "t "; what is not known is not there.
    assert sorted(tokens.ids) == [0, 0, 2, 2, 3, 3, 4, 4, 5]
    idf, projection = (getattr(encoder.vocabulary, name) for name in ("idf", "projection"))
    grams = np.array([*(1 + np.log([2, 2, 2])), 1]) * idf[2:6]
    weighed = np.concatenate([[1], grams / np.linalg.norm(grams)])  # one word has all the weight
    vector = weighed @ projection[[0, 2, 3, 4, 5]]
    encoded = encoder.encode(["Cat, the cat"])
    np.testing.assert_allclose(encoded.vectors[0], vector / np.linalg.norm(vector), rtol=1e-5)
    assert encoded.vectors.dtype == np.float32


def test_a_script_without_blanks_is_read(folder):
    encoder = TfidfEncoder.load(folder)
    vector = encoder.encode(["蓝鲸鱼很大"]).vectors[0]
    row = encoder.vocabulary.projection[-1]
    np.testing.assert_allclose(vector, row / np.linalg.norm(row), rtol=1e-5)


def test_a_text_without_a_known_term_stays_zero(folder):
    encoded = TfidfEncoder.load(folder).encode(["", "zzz", "\ud800"])
    assert not encoded.vectors.any()
    assert not encoded.truncated.any()


def test_a_long_text_is_read_in_part(folder):
    encoder = TfidfEncoder.load(folder, max_tokens=5)
    assert encoder.max_tokens == 5
    long, short = encoder.tokenise(["cat cat", "cat"])
    assert (long.truncated, short.truncated) == (True, False)
    np.testing.assert_array_equal(long.ids, short.ids)  # cat, and four n-grams
    assert encoder.revision != TfidfEncoder.load(folder).revision


def test_a_text_has_one_vector_in_any_company(folder):
    encoder = TfidfEncoder.load(folder)
    together = encoder.encode(["cat", "dog cat", ""]).vectors
    for row, text in enumerate(["cat", "dog cat", ""]):
        np.testing.assert_array_equal(encoder.encode([text]).vectors[0], together[row])


def test_the_loader_tells_the_sorts_apart(folder):
    encoder = load_any_encoder(folder, provider=Provider.CPU, threads=1)
    assert isinstance(encoder, TfidfEncoder)
    assert (encoder.dimension, encoder.revision) == (3, TfidfEncoder.load(folder).revision)
    assert {str(path) for path in encoder_files(folder)} == {"tfidf.json", "tfidf.safetensors"}
    with pytest.raises(EncoderNotFoundError):
        load_any_encoder(folder.parent / "absent")


def test_the_same_content_is_the_same_revision(folder, tmp_path):
    write_tfidf(tmp_path / "again", vocabulary())
    write_tfidf(tmp_path / "other", vocabulary(words=("cat", "dig")))
    revision = TfidfEncoder.load(folder).revision
    assert TfidfEncoder.load(tmp_path / "again").revision == revision
    assert TfidfEncoder.load(tmp_path / "other").revision != revision


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"words": None}, "words in"),
        ({"words": ["cat", 1]}, "words in"),
        ({"grams": "abc"}, "grams in"),
        ({"words": ["cat"]}, "of different encoders"),
        ({"words": ["cat", "cat"]}, "names a term twice"),
        ({"least": 3}, "no sizes of n-grams"),
        ({"least": 0}, "least in"),
        ({"most": None}, "no sizes of n-grams"),
        ({"max_tokens": -1}, "max_tokens in"),
    ],
)
def test_a_vocabulary_that_is_damaged_is_refused(folder, changes, words):
    path = folder / "tfidf.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(EncoderInvalidError, match=words):
        TfidfEncoder.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("idf"),
        lambda arrays: arrays.update(more=np.zeros(1, np.float32)),
        lambda arrays: arrays.update(idf=arrays["idf"].astype(np.float64)),
        lambda arrays: arrays["idf"].__setitem__(0, np.nan),
        lambda arrays: arrays.update(projection=arrays["projection"][:, :0]),
    ],
)
def test_arrays_that_are_damaged_are_refused(folder, change):
    path = folder / "tfidf.safetensors"
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    change(arrays)
    save_file(arrays, path)
    with pytest.raises(EncoderInvalidError, match="does not hold finite idf and projection"):
        TfidfEncoder.load(folder)


def test_files_that_are_damaged_or_missing_are_refused(folder):
    arrays = {"idf": np.ones(8, np.float32), "projection": np.ones((7, 3), np.float32)}
    save_file(arrays, folder / "tfidf.safetensors")
    with pytest.raises(EncoderInvalidError, match="of different encoders"):
        TfidfEncoder.load(folder)
    (folder / "tfidf.safetensors").write_bytes(b"nonsense")
    with pytest.raises(EncoderInvalidError, match="is not a safetensors file"):
        TfidfEncoder.load(folder)
    (folder / "tfidf.safetensors").unlink()
    with pytest.raises(EncoderNotFoundError, match="can't be read"):
        TfidfEncoder.load(folder)
    with pytest.raises(EncoderNotFoundError, match="holds no"):
        encoder_files(folder)
    (folder / "tfidf.json").write_text("{")
    with pytest.raises(EncoderInvalidError, match="is not JSON"):
        TfidfEncoder.load(folder)
    shutil.rmtree(folder)
    with pytest.raises(EncoderNotFoundError):
        TfidfEncoder.load(folder)


def test_fitting_is_repeatable_and_keeps_common_terms(tmp_path):
    texts = ["the cat sat", "the dog sat", "a cat and a dog", "the cat sat"]
    for name in ("one", "two"):
        fit_tfidf(texts, tmp_path / name, dimension=2)
    first, second = (TfidfEncoder.load(tmp_path / name) for name in ("one", "two"))
    assert first.revision == second.revision
    assert first.vocabulary.words == ("cat", "dog", "sat", "the")
    assert first.dimension == 2
    vectors = first.encode(texts).vectors
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_few_texts_have_few_directions(tmp_path):
    fit_tfidf(["one two", "three four", "five six"], tmp_path)
    assert TfidfEncoder.load(tmp_path).dimension == 2


def test_texts_with_terms_that_never_come_back_are_learnt(tmp_path):
    fit_tfidf(["ab", "cd", "ef"], tmp_path)
    assert TfidfEncoder.load(tmp_path).vocabulary.words == ("ab", "cd", "ef")


@pytest.mark.parametrize("texts", [["", " "], ["same words"] * 3, ["1 2", "3 4"]])
def test_texts_that_teach_nothing_are_refused(tmp_path, texts):
    with pytest.raises(TrainingError, match="--features sentence"):
        fit_tfidf(texts, tmp_path)
