"""fp16 runs here on a CPU, where ONNX Runtime widens what it has no operator for."""

import numpy as np
import onnx
import pytest

from encoders import EncoderInvalidError, Provider, SentenceEncoder
from encoders.assembly import assemble_bert
from encoders.half import halve_encoder
from encoders.pooling import Pooling
from tests.unit.encoding.tiny_bert import write_json, write_source

TEXTS = ["the cat sat", "", "a b c d e f g h i j a b c d", "你好!", "dogs", "the dog sat the mat."]


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    write_source(tmp_path / "source")
    assemble_bert(tmp_path / "source", tmp_path / "source/model.onnx")
    return tmp_path / "source"


def load(directory):
    return SentenceEncoder.load(directory, provider=Provider.CPU, threads=1)


def test_the_vectors_are_nearly_the_same(source, tmp_path):
    halve_encoder(source, tmp_path / "out")
    before, after = (load(each).encode(TEXTS).vectors for each in (source, tmp_path / "out"))
    assert 0 < np.abs(before - after).max() < 0.01
    assert after.dtype == np.float32


def test_it_pools_by_itself_and_leaves_padding_out(source, tmp_path):
    halve_encoder(source, tmp_path / "out")
    encoder = load(tmp_path / "out")
    assert encoder.pooling is Pooling.MODEL
    ids = np.array([[4, 5, 6, 9, 9], [7, 9, 9, 9, 9], [9, 9, 9, 9, 9]])
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    found = encoder.network.run(ids, mask)
    alone = encoder.network.run(ids[:1, :3], mask[:1, :3])
    np.testing.assert_allclose(found[0], alone[0], atol=2e-3)
    assert found.shape == (3, 8)
    assert not found[2].any()


def test_weights_are_halves_and_what_goes_in_and_out_is_not(source, tmp_path):
    halve_encoder(source, tmp_path / "out")
    graph = onnx.load(tmp_path / "out/model.onnx").graph
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    assert {array.dtype for array in arrays.values() if array.ndim == 2} == {np.dtype(np.float16)}
    kinds = [each.type.tensor_type.elem_type for each in (*graph.input, *graph.output)]
    assert kinds == [onnx.TensorProto.INT64, onnx.TensorProto.INT64, onnx.TensorProto.FLOAT]


def test_the_same_model_gives_the_same_file(source, tmp_path):
    for name in ("one", "two"):
        halve_encoder(source, tmp_path / name)
    assert (tmp_path / "one/model.onnx").read_bytes() == (tmp_path / "two/model.onnx").read_bytes()


def test_what_cannot_be_converted_is_refused(source, tmp_path):
    write_json(source / "1_Pooling/config.json", {"pooling_mode": "cls"})
    with pytest.raises(EncoderInvalidError, match="does not pool by the mean"):
        halve_encoder(source, tmp_path / "out")
    write_json(source / "1_Pooling/config.json", {"pooling_mode": "mean"})
    (source / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(EncoderInvalidError, match="can't be converted to fp16"):
        halve_encoder(source, tmp_path / "out")
