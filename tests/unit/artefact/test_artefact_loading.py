import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from encoders import (
    Artefact,
    ArtefactInvalidError,
    ArtefactNotFoundError,
    EncoderInvalidError,
    Provider,
)
from encoders.artefact import inventory
from tests.unit.artefact.tiny_router import (
    MODELS,
    edit_manifest,
    forge,
    forge_arrays,
    tiny_arrays,
    tiny_draft,
    tiny_encoder,
    write_router,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("routers")
    return write_router(folder / "router", tiny_encoder(folder / "source"))


@pytest.fixture
def router(written, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(written.directory, tmp_path / "router")


def files_of(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file())


def refusal(directory):
    with pytest.raises(ArtefactInvalidError) as caught:
        Artefact.load(directory)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_what_was_written_is_loaded(written, router):
    loaded = Artefact.load(router)
    assert loaded.manifest == written.manifest
    assert loaded.revision == written.revision
    assert loaded.models == MODELS
    np.testing.assert_array_equal(loaded.costs, [1.0, 4.5, np.nan])
    np.testing.assert_array_equal(
        loaded.arrays["llm_embeddings"], tiny_arrays()["llm_embeddings"], strict=True
    )
    assert loaded.arrays["llm_embeddings"].flags.c_contiguous
    assert loaded.arrays["llm_embeddings"].flags.owndata


def test_its_encoder_is_loaded(router):
    artefact = Artefact.load(router)
    encoder = artefact.load_encoder(Provider.CPU, threads=1)
    named = artefact.manifest.encoder
    assert (encoder.dimension, encoder.revision) == (named.dimension, named.revision)
    assert artefact.load_encoder(threads=1, max_tokens=5).max_tokens == 5


def test_a_link_to_a_router_is_followed_to_where_it_led(written, tmp_path):
    (tmp_path / "current").symlink_to(written.directory)
    assert Artefact.load(tmp_path / "current").directory == written.directory


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_any_flipped_bit_of_any_file_is_refused(written, tmp_path, data):
    router = tmp_path / "flipped"
    shutil.rmtree(router, ignore_errors=True)
    shutil.copytree(written.directory, router)
    path = data.draw(st.sampled_from([p for p in files_of(router) if p.name != "manifest.json"]))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert str(path) in refusal(router)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_a_flipped_bit_of_the_manifest_is_refused_or_another_revision(written, tmp_path, data):
    router = tmp_path / "flipped"
    shutil.rmtree(router, ignore_errors=True)
    shutil.copytree(written.directory, router)
    path = router / "manifest.json"
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        revision = Artefact.load(router).revision
    except ArtefactInvalidError as error:
        revision = str(error)
    assert revision != written.revision


def test_every_cut_file_is_refused(router):
    for path in files_of(router):
        content = path.read_bytes()
        path.write_bytes(content[:-1] if path.name != "manifest.json" else content[:-4])
        assert str(path) in refusal(router)
        path.write_bytes(content)
    Artefact.load(router)


def test_every_missing_file_is_refused(router):
    for path in files_of(router):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises((ArtefactInvalidError, ArtefactNotFoundError)) as caught:
            Artefact.load(router)
        assert path.name in str(caught.value)
        path.write_bytes(content)
    Artefact.load(router)


@pytest.mark.parametrize("name", ["more.txt", "encoder/model.onnx.data", "encoder/deep/er/x"])
def test_a_file_that_is_not_listed_is_refused(router, name):
    (router / name).parent.mkdir(parents=True, exist_ok=True)
    (router / name).write_bytes(b"")
    assert f"{name} is not listed" in refusal(router)


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors", "encoder/model.onnx"])
def test_a_link_is_refused_wherever_it_leads(router, tmp_path, name):
    shutil.move(router / name, tmp_path / "outside")
    (router / name).symlink_to(tmp_path / "outside")
    assert "is a link" in refusal(router)


def test_a_linked_folder_is_refused(router, tmp_path):
    shutil.move(router / "encoder", tmp_path / "outside")
    (router / "encoder").symlink_to(tmp_path / "outside")
    assert "encoder is a link" in refusal(router)


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors", "encoder/model.onnx"])
def test_a_pipe_is_refused_and_not_waited_for(router, name):
    (router / name).unlink()
    os.mkfifo(router / name)
    assert "special file" in refusal(router)


@pytest.mark.parametrize(
    "name",
    ["../outside", "encoder/../../outside", "/outside", "a//b", "./a", "", ".", "a\\b", "a\0b"],
)
def test_a_path_that_leads_outside_is_refused(router, name):
    (router.parent / "outside").write_bytes(b"")
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    edit_manifest(router, lambda values: values["files"].update({name: digest}))
    assert "a path of a file" in refusal(router)


def test_what_is_too_large_is_refused(router, monkeypatch):
    for limit in ("MOST_MANIFEST_BYTES", "MOST_ARRAY_BYTES", "MOST_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(inventory, limit, 100)
            assert "larger than 100 bytes" in refusal(router)


def test_what_can_not_be_read_is_refused(router, monkeypatch):
    def fail(directory):
        raise PermissionError(13, "Permission denied", str(directory))

    monkeypatch.setattr(os, "scandir", fail)
    assert "can't be read (Permission denied)" in refusal(router)


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(ArtefactNotFoundError, match="No such file"):
        Artefact.load(tmp_path / "absent")
    with pytest.raises(ArtefactNotFoundError, match=r"holds no manifest\.json"):
        Artefact.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactNotFoundError):
        Artefact.load(tmp_path / "file")


def test_the_manifest_of_something_else_is_refused(router):
    for content in ("", "[]", "{", '{"files": {}}', '{"format": 1}', "[" * 100_000):
        (router / "manifest.json").write_text(content)
        assert "is not the manifest of a router" in refusal(router)


def test_a_newer_format_is_refused_in_words(router):
    edit_manifest(router, lambda values: values.update(format="pointsman-router/2", new={}))
    assert "format pointsman-router/2, but only pointsman-router/1" in refusal(router)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("kind",), "Smoothie", "kind: "),
        (("kind",), "../outside", "kind: "),
        (("kind",), "", "kind: "),
        (("kind",), None, "kind: "),
        (("models",), [], "models: "),
        (("models", 0, "name"), "large", "'large' is named twice"),
        (("models", 0, "name"), "", "models.0.name: "),
        (("models", 0, "cost"), -1, "models.0.cost: "),
        (("models", 0, "cost"), float("nan"), "models.0.cost: "),
        (("encoder", "directory"), "elsewhere", "encoder.directory: "),
        (("encoder", "kind"), "word2vec", "encoder.kind: "),
        (("encoder", "dimension"), 0, "encoder.dimension: "),
        (("encoder", "dimension"), "8", "encoder.dimension: "),
        (("encoder", "precision"), "int4", "encoder.precision: "),
        (("calibration",), {"temperature": 0.0}, "calibration.temperature: "),
        (("files", "arrays.safetensors"), "0" * 63, "files.arrays.safetensors: "),
        (("files", "manifest.json"), "0" * 64, "can't name manifest.json"),
        (("unheard-of",), 1, "unheard-of: "),
    ],
)
def test_a_manifest_that_says_what_can_not_be_is_refused(router, place, value, words):
    def change(values):
        *above, last = place
        for key in above:
            values = values[key]
        values[last] = value

    edit_manifest(router, change)
    assert words in refusal(router)


def test_arrays_must_be_listed(router):
    edit_manifest(router, lambda values: values["files"].pop("arrays.safetensors"))
    assert "files must name arrays.safetensors" in refusal(router)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("llm_embeddings", np.nan, "NaN or infinity"),
        ("llm_embeddings", -np.inf, "NaN or infinity"),
        ("qualities.prompts", np.nan, "NaN or infinity"),
        ("more-qualities", np.nan, "NaN or infinity"),
        ("qualities", np.inf, "holds infinity"),
        ("members.0.qualities", -np.inf, "holds infinity"),
    ],
)
def test_arrays_that_are_not_finite_are_refused(router, name, value, words):
    forge_arrays(router, {name: np.array([0, value], np.float32)})
    assert words in refusal(router)


@pytest.mark.parametrize("name", ["qualities", "members.0.qualities"])
def test_qualities_that_nobody_knows_are_kept(router, name):
    forge_arrays(router, {name: np.array([[0.5, np.nan]], np.float32)})
    np.testing.assert_array_equal(Artefact.load(router).arrays[name], [[0.5, np.nan]])


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a..b", ".a", "a.", "a\n", "ä", "a" * 201])
def test_names_that_no_array_has_are_refused(router, name):
    forge_arrays(router, {name: np.zeros(1, np.float32)})
    sentence = refusal(router)
    assert "which no router does" in sentence
    assert len(sentence) < 500


@given(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True))
def test_a_router_of_any_kind_is_held(kind):
    assert tiny_draft(kind=kind).kind == kind


def test_arrays_of_any_shape_are_held_or_none(router):
    shapes = {"scalar": (), "empty": (0, 4), "members.0.deep": (2, 3, 4)}
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    for given_arrays in (arrays, {}):
        forge_arrays(router, given_arrays)
        loaded = Artefact.load(router).arrays
        assert {name: array.shape for name, array in loaded.items()} == {
            name: array.shape for name, array in given_arrays.items()
        }


def test_arrays_of_another_type_are_refused(router):
    for kind in (np.float64, np.float16, np.int64):
        forge(router, "arrays.safetensors", save({"llm_embeddings": np.zeros((3, 8), kind)}))
        assert "must be float32" in refusal(router)


class Bomb:
    """What a pickle could do."""

    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


def test_nothing_is_unpickled(router, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    bombs = {
        "pickle": pickle.dumps(Bomb()),
        "npy": (tmp_path / "bomb.npy").read_bytes(),
        "nothing": b"",
        "header": (2**63).to_bytes(8, "little"),
    }
    for data in bombs.values():
        forge(router, "arrays.safetensors", data)
        assert "is not a safetensors file" in refusal(router)
        assert not (tmp_path / "exploded").exists()


def test_an_encoder_that_is_not_the_one_named_is_refused(router):
    for name, value in (("revision", "0" * 16), ("max_tokens", 11), ("kind", "tf-idf")):
        edit_manifest(router, lambda values, n=name, v=value: values["encoder"].update({n: v}))
        with pytest.raises(ArtefactInvalidError, match=r"manifest\.json says"):
            Artefact.load(router).load_encoder(threads=1)


def test_an_encoder_of_another_dimension_is_refused(router):
    edit_manifest(router, lambda values: values["encoder"].update(dimension=7))
    with pytest.raises(ArtefactInvalidError, match=r"dimension of .* is 8"):
        Artefact.load(router).load_encoder(threads=1)


def test_an_encoder_that_fails_keeps_its_own_error(router):
    forge(router, "encoder/model.onnx", b"nonsense")
    with pytest.raises(EncoderInvalidError, match=r"model\.onnx"):
        Artefact.load(router).load_encoder(threads=1)


def test_an_encoder_that_changed_since_it_was_verified_is_refused(router):
    artefact = Artefact.load(router)
    path = router / "encoder/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"more": 1}))
    with pytest.raises(ArtefactInvalidError, match=r"config\.json is not the file"):
        artefact.load_encoder(threads=1)
