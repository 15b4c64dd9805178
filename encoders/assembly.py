"""A BERT encoder, assembled from its weights into ONNX without torch.

The graph uses ONNX Runtime's fused operators (domain com.microsoft)
EmbedLayerNormalization, Attention and BiasGelu, and additions before a plain LayerNormalization:
on a CPU SkipLayerNormalization takes several times as long as those, and on CUDA the runtime
fuses them by itself. The model
is that of Devlin et al., "BERT" (NAACL 2019), as Hugging Face's `BertModel`
computes it: learned absolute positions, post-normalisation, exact GELU.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from encoders.bert import BertShape, BertWeights, open_weights

_MICROSOFT = "com.microsoft"
_STANDARD = frozenset({"Add", "Cast", "LayerNormalization", "MatMul"})
# Both are older than every ONNX Runtime that the project allows.
_OPSET = 17
_IR_VERSION = 8


def assemble_bert(source: Path, model: Path) -> None:
    """Writes an ONNX model with the weights of a BERT encoder.

    Inputs `input_ids` and `attention_mask` (n, t) int64, output
    `last_hidden_state` (n, t, hidden) float32. All tokens are of the first
    segment. Masked tokens may stand anywhere. The same weights give the same file.

    Args:
        source: Directory with config.json and model.safetensors (float32 or
            float16; names with or without the prefix "bert.").
        model: The file to write.

    Raises:
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: The architecture is not BERT, or the weights do not
            fit the configuration.
    """
    shape = BertShape.read(source / "config.json")
    with open_weights(source / "model.safetensors") as weights:
        graph = _bert_graph(shape, weights)
    model.write_bytes(graph.serialise(shape.hidden))


@dataclass(slots=True)
class _Graph:
    """Nodes and weights, in the order in which they were added."""

    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)

    def keep(self, name: str, array: NDArray[np.float32]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: float) -> str:
        domain = "" if operator in _STANDARD else _MICROSOFT
        # ONNX Runtime refuses an embedding without its second output, unused as it is.
        outputs = [output, "unused"] if operator == "EmbedLayerNormalization" else [output]
        node = helper.make_node(operator, inputs, outputs, output, domain=domain)
        node.attribute.extend(helper.make_attribute(key, attributes[key]) for key in attributes)
        self.nodes.append(node)
        return output

    def serialise(self, hidden: int) -> bytes:
        axes = ["batch", "sequence"]
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, axes)
            for name in ("input_ids", "attention_mask")
        ]
        output = helper.make_tensor_value_info(
            "last_hidden_state", TensorProto.FLOAT, [*axes, hidden]
        )
        graph = helper.make_graph(self.nodes, "bert", inputs, [output], self.weights)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="pointsman"
        )
        return model.SerializeToString(deterministic=True)


def _bert_graph(shape: BertShape, weights: BertWeights) -> _Graph:
    graph = _Graph()
    mask = graph.add("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    state = _add_embeddings(graph, shape, weights)
    for layer in range(shape.layers):
        state = _add_attention(
            graph, shape, weights, f"encoder.layer.{layer}.attention", state, mask
        )
        last = layer == shape.layers - 1
        output = "last_hidden_state" if last else f"encoder.layer.{layer}"
        state = _add_feed_forward(graph, shape, weights, f"encoder.layer.{layer}", state, output)
    return graph


def _add_embeddings(graph: _Graph, shape: BertShape, weights: BertWeights) -> str:
    ids = graph.add("Cast", ["input_ids"], "ids", to=TensorProto.INT32)
    words = weights.get("embeddings.word_embeddings.weight", shape.vocabulary, shape.hidden)
    places = weights.get("embeddings.position_embeddings.weight", shape.positions, shape.hidden)
    segments = weights.get("embeddings.token_type_embeddings.weight", shape.segments, shape.hidden)
    norm = _keep_norm(graph, shape, weights, "embeddings.LayerNorm")
    # Every token is of segment 0, so its embedding goes into the positions.
    tables = [graph.keep("words", words), graph.keep("places", places + segments[0])]
    inputs = [ids, "", *tables, "", *norm]
    return graph.add("EmbedLayerNormalization", inputs, "embedded", epsilon=shape.epsilon)


def _add_attention(
    graph: _Graph, shape: BertShape, weights: BertWeights, name: str, state: str, mask: str
) -> str:
    parts = [f"{name}.self.{part}" for part in ("query", "key", "value")]
    matrices = [weights.get(f"{part}.weight", shape.hidden, shape.hidden).T for part in parts]
    biases = [weights.get(f"{part}.bias", shape.hidden) for part in parts]
    matrix = graph.keep(f"{name}.self.weight", np.concatenate(matrices, axis=1))
    bias = graph.keep(f"{name}.self.bias", np.concatenate(biases))
    # The mask goes in as (n, t): as lengths, it could not say where padding stands.
    mixed = graph.add(
        "Attention", [state, matrix, bias, mask], f"{name}.self", num_heads=shape.heads
    )
    return _add_dense_and_norm(
        graph, shape, weights, f"{name}.output", (shape.hidden, mixed), state, f"{name}.output"
    )


def _add_feed_forward(
    graph: _Graph, shape: BertShape, weights: BertWeights, name: str, state: str, output: str
) -> str:
    dense = f"{name}.intermediate.dense"
    matrix = weights.get(f"{dense}.weight", shape.intermediate, shape.hidden).T
    bias = graph.keep(f"{dense}.bias", weights.get(f"{dense}.bias", shape.intermediate))
    wide = graph.add("MatMul", [state, graph.keep(f"{dense}.weight", matrix)], dense)
    active = graph.add("BiasGelu", [wide, bias], f"{name}.intermediate")
    return _add_dense_and_norm(
        graph, shape, weights, f"{name}.output", (shape.intermediate, active), state, output
    )


def _add_dense_and_norm(
    graph: _Graph,
    shape: BertShape,
    weights: BertWeights,
    name: str,
    source: tuple[int, str],
    skip: str,
    output: str,
) -> str:
    """LayerNorm(dense(source) + skip)."""
    width, value = source
    matrix = weights.get(f"{name}.dense.weight", shape.hidden, width).T
    narrow = graph.add(
        "MatMul", [value, graph.keep(f"{name}.dense.weight", matrix)], f"{name}.dense"
    )
    norm = _keep_norm(graph, shape, weights, f"{name}.LayerNorm")
    bias = graph.keep(f"{name}.dense.bias", weights.get(f"{name}.dense.bias", shape.hidden))
    shifted = graph.add("Add", [narrow, bias], f"{name}.dense.shifted")
    total = graph.add("Add", [shifted, skip], f"{name}.sum")
    return graph.add("LayerNormalization", [total, *norm], output, epsilon=shape.epsilon)


def _keep_norm(graph: _Graph, shape: BertShape, weights: BertWeights, name: str) -> list[str]:
    return [
        graph.keep(f"{name}.{part}", weights.get(f"{name}.{part}", shape.hidden))
        for part in ("weight", "bias")
    ]
