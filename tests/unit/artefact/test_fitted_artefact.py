"""Artefacts of fitted routers, with either encoder, from the file to the scores."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from encoders import (
    Artefact,
    ArtefactInvalidError,
    EncoderNotFoundError,
    ManifestDraft,
    TfidfEncoder,
    write_artefact,
)
from encoders.tfidf import Vocabulary, write_tfidf
from server.cli import app
from server.cli.offline_router import OfflineRouter
from tests.unit.artefact.tiny_router import edit_manifest, forge_arrays

MODELS = ("ant", "bee")
METHOD = {"k": 1, "weighting": "uniform", "bandwidth": 0.5, "pseudo_count": 1.0}


@pytest.fixture
def encoder(tmp_path):
    """One direction for each of two words."""
    words = ("cat", "dog")
    vocabulary = Vocabulary(
        words=words,
        grams=("zzz",),
        least=3,
        most=3,
        idf=np.ones(3, np.float32),
        projection=np.eye(3, 4, dtype=np.float32),
    )
    write_tfidf(tmp_path / "source", vocabulary, max_tokens=100)
    (tmp_path / "source/README.md").touch()
    return tmp_path / "source"


def arrays():
    return {
        "centre": np.zeros(4, np.float32),
        "prompts": np.eye(2, 4, dtype=np.float32),
        "qualities": np.array([[1, 0], [np.nan, 1]], np.float32),
        "means": np.array([0.5, 0.25], np.float32),
    }


def draft(**changes):
    models = tuple({"name": name} for name in MODELS)
    values = {"kind": "labelled-knn", "models": models, "encoder_name": "tf-idf", "method": METHOD}
    return ManifestDraft(**(values | changes))


@pytest.fixture
def router(encoder, tmp_path):
    return write_artefact(tmp_path / "router", draft(), arrays(), encoder).directory


def route(router, *prompts):
    flags = [word for prompt in prompts for word in ("--prompt", prompt)]
    return CliRunner().invoke(app, ["route", "--router", str(router), *flags])


def test_it_is_held_with_its_encoder(router, encoder):
    artefact = Artefact.load(router)
    assert set(artefact.manifest.files) == {
        "arrays.safetensors",
        "encoder/tfidf.json",
        "encoder/tfidf.safetensors",
    }
    entry = artefact.manifest.encoder
    assert (entry.kind, entry.dimension, entry.max_tokens) == ("tf-idf", 4, 100)
    loaded = artefact.load_encoder()
    assert isinstance(loaded, TfidfEncoder)
    assert loaded.revision == entry.revision == TfidfEncoder.load(encoder).revision
    assert artefact.load_encoder(max_tokens=7).max_tokens == 7
    np.testing.assert_array_equal(artefact.arrays["qualities"], arrays()["qualities"])


def test_it_is_written_again_as_it_is(router, tmp_path):
    first = Artefact.load(router)
    again = write_artefact(
        tmp_path / "again", first.manifest.draft(), first.arrays, router / "encoder"
    )
    assert again.revision == first.revision


def test_it_routes(router):
    offline = OfflineRouter.load(router)
    vectors = offline.encoder.encode(["the cat", "a dog"]).vectors
    scores = offline.router.score(vectors).scores
    # (the neighbour's quality, where it is known, + the mean) / 2
    np.testing.assert_allclose(scores, [[0.75, 0.125], [0.5, 0.625]], atol=1e-6)
    result = route(router, "the cat", "a dog")
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["model"] for line in result.stdout.splitlines()] == ["ant", "bee"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompts": np.zeros((3, 4), np.float32)}, "qualities"),
        ({"means": np.zeros(3, np.float32)}, "means"),
        ({"more": np.zeros(3, np.float32)}, "more"),
        ({"centre": np.zeros(5, np.float32)}, "prompts"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_a_sentence(router, change, words):
    forge_arrays(router, arrays() | change)
    assert Artefact.load(router).arrays.keys() == (arrays() | change).keys()
    result = route(router, "the cat")
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "smoothie"}, "smoothie"),
        ({"method": {**METHOD, "k": 0}}, "method.k"),
        ({"method": {}}, "method."),
    ],
)
def test_a_method_that_is_not_served_is_refused_in_a_sentence(router, change, words):
    edit_manifest(router, lambda values: values.update(change))
    result = route(router, "the cat")
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_encoder_of_another_sort_than_named_is_refused(router):
    edit_manifest(router, lambda values: values["encoder"].update(kind="sentence"))
    with pytest.raises(ArtefactInvalidError, match=r"the kind of .* is tf-idf"):
        Artefact.load(router).load_encoder()


def test_half_an_encoder_is_not_written(encoder, tmp_path):
    (encoder / "tfidf.safetensors").unlink()
    with pytest.raises(EncoderNotFoundError, match=r"no tfidf\.safetensors"):
        write_artefact(tmp_path / "router", draft(), arrays(), encoder)
    assert not (tmp_path / "router").exists()
