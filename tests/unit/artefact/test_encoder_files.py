"""Which files of an encoder go into an artefact."""

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from encoders import Artefact, EncoderInvalidError, SentenceEncoder
from encoders.layout import Layout
from tests.unit.artefact.tiny_router import tiny_encoder, write_router
from tests.unit.encoding.tiny_bert import lookup_model, write_json, write_lookup


def names(directory):
    return {str(path) for path in Layout.read(directory).files()}


def test_only_files_that_are_read_and_are_there(tmp_path):
    write_lookup(tmp_path, "last_hidden_state")
    (tmp_path / "README.md").touch()
    (tmp_path / "onnx/other.onnx").touch()
    assert names(tmp_path) == {"onnx/model.onnx", "tokenizer.json", "config.json"}
    write_json(tmp_path / "tokenizer_config.json", {"model_max_length": 9})
    assert "tokenizer_config.json" in names(tmp_path)


def test_the_pooling_folder_that_modules_names(tmp_path):
    tiny_encoder(tmp_path)
    write_json(tmp_path / "7_Pooling/config.json", {"pooling_mode_cls_token": True})
    write_json(tmp_path / "modules.json", [{"type": "m.Pooling", "path": "7_Pooling"}])
    assert "7_Pooling/config.json" in names(tmp_path)
    assert "1_Pooling/config.json" not in names(tmp_path)


@pytest.mark.parametrize("folder", ["../outside", "/outside", "a/../../outside"])
def test_a_pooling_folder_outside_is_refused(tmp_path, folder):
    tiny_encoder(tmp_path / "in")
    write_json(tmp_path / "in/modules.json", [{"type": "m.Pooling", "path": folder}])
    with pytest.raises(EncoderInvalidError, match="outside"):
        SentenceEncoder.load(tmp_path / "in")


def save_apart(directory, location):
    """A model whose weights lie in another file."""
    _, model = lookup_model(["last_hidden_state"], dimension=8)
    options = {"save_as_external_data": True, "location": location, "size_threshold": 0}
    onnx.save(model, str(directory / "onnx/model.onnx"), **options)


def test_weights_beside_the_model_come_along(tmp_path):
    write_lookup(tmp_path / "source", "last_hidden_state")
    save_apart(tmp_path / "source", "model.onnx.data")
    artefact = write_router(tmp_path / "router", tmp_path / "source")
    assert "encoder/onnx/model.onnx.data" in artefact.manifest.files
    assert Artefact.load(tmp_path / "router").load_encoder(threads=1).dimension == 8


def test_weights_outside_the_encoder_are_refused(tmp_path):
    write_lookup(tmp_path / "source", "last_hidden_state")
    save_apart(tmp_path / "source", "model.onnx.data")
    path = tmp_path / "source/onnx/model.onnx"
    (tmp_path / "weights").write_bytes(Path(f"{path}.data").read_bytes())
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../weights"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EncoderInvalidError):
        SentenceEncoder.load(tmp_path / "source")


def test_the_room_is_there_before_any_native_library():
    program = "import sys, encoders, encoders.artefact.manifest; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"
