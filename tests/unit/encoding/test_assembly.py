import numpy as np
import onnx
import pytest

from encoders import EncoderInvalidError, EncoderNotFoundError
from encoders.assembly import assemble_bert
from tests.unit.encoding.tiny_bert import CONFIG, tiny_weights, write_json, write_source


def assembled(source):
    assemble_bert(source, source / "model.onnx")
    return (source / "model.onnx").read_bytes()


def test_the_same_weights_give_the_same_file(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = assembled(write_source(tmp_path / "a"))
    assert first == assembled(write_source(tmp_path / "b", prefix="bert."))


def test_the_graph_is_made_of_the_fused_operators(tmp_path):
    graph = onnx.load_from_string(assembled(write_source(tmp_path))).graph
    fused = {node.op_type for node in graph.node if node.domain == "com.microsoft"}
    # Not SkipLayerNormalization, which takes several times as long on a CPU as its parts.
    assert fused == {"EmbedLayerNormalization", "Attention", "BiasGelu"}
    assert [value.name for value in graph.input] == ["input_ids", "attention_mask"]
    assert [value.name for value in graph.output] == ["last_hidden_state"]


def test_half_precision_weights_are_widened(tmp_path):
    weights = {name: array.astype(np.float16) for name, array in tiny_weights().items()}
    graph = onnx.load_from_string(assembled(write_source(tmp_path, weights=weights))).graph
    assert {tensor.data_type for tensor in graph.initializer} == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "roberta"),
        ("hidden_act", "gelu_new"),
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
        ("layer_norm_eps", "small"),
        ("num_attention_heads", 3),
        ("hidden_size", None),
        ("num_hidden_layers", 0),
    ],
)
def test_another_architecture_is_refused(tmp_path, key, value):
    write_source(tmp_path)
    write_json(tmp_path / "config.json", CONFIG | {key: value})
    with pytest.raises(EncoderInvalidError, match=key):
        assembled(tmp_path)


def test_a_missing_tensor_is_named(tmp_path):
    weights = tiny_weights()
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(EncoderInvalidError, match=r"lacks encoder\.layer\.1\.output\.dense\.bias"):
        assembled(write_source(tmp_path, weights=weights))


@pytest.mark.parametrize("array", [np.zeros((8, 9), np.float32), np.zeros((8, 8), np.int64)])
def test_a_tensor_of_another_shape_or_type_is_named(tmp_path, array):
    weights = tiny_weights() | {"encoder.layer.0.attention.self.key.weight": array}
    with pytest.raises(
        EncoderInvalidError, match=r"self\.key\.weight in .* asks for floats \[8, 8\]"
    ):
        assembled(write_source(tmp_path, weights=weights))


def test_broken_or_missing_weights_are_refused(tmp_path):
    write_source(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(EncoderInvalidError, match="is not a safetensors file"):
        assembled(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(EncoderNotFoundError, match=r"model\.safetensors is missing"):
        assembled(tmp_path)
