"""An encoder in half precision, for a CUDA card, that pools by itself."""

import shutil
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from encoders.errors import EncoderInvalidError
from encoders.layout import Layout
from encoders.pooling import Pooling

_STATES = "last_hidden_state"
_POOLED = "sentence_embedding"
_CONSTANTS: dict[str, NDArray[np.generic]] = {
    "pool.rows": np.array([1], np.int64),
    "pool.tokens": np.array([2], np.int64),
    "pool.one": np.ones(1, np.float32),
}


def halve_encoder(source: Path, out: Path) -> None:
    """Writes an encoder whose model has weights in float16 and computes in it.

    Its inputs stay integers. The mean over a text's tokens is taken in float32 and by the model,
    so that one vector comes back from the card for each text, and not one for each token.

    Args:
        source: Directory of an encoder that `encoders.assembly` made.
        out: Directory to write; made where it is missing.

    Raises:
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: The model can't be converted.
    """
    layout = Layout.read(source)
    for path in layout.files():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        if source / path != layout.model:
            shutil.copyfile(source / path, out / path)
    if layout.require_pooling() is not Pooling.MEAN:
        raise EncoderInvalidError(f"{source} does not pool by the mean; keep it in fp32")
    try:
        model = _halved(onnx.load(layout.model))
    except Exception as error:
        message = f"{layout.model} can't be converted to fp16; keep it in fp32"
        raise EncoderInvalidError(message) from error
    (out / layout.model.relative_to(source)).write_bytes(
        model.SerializeToString(deterministic=True)
    )


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    # The types inside the fused operators can't be inferred, and need not be.
    half: onnx.ModelProto = convert_float_to_float16(
        model, keep_io_types=True, disable_shape_infer=True
    )
    _add_mean(half.graph)
    onnx.checker.check_model(half)
    return half


def _add_mean(graph: onnx.GraphProto) -> None:
    """Puts the mean of the states, (n, d), in their place."""
    hidden = graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    for name, value in _CONSTANTS.items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    cast = helper.make_node("Cast", ["attention_mask"], ["pool.mask"], to=TensorProto.FLOAT)
    graph.node.append(cast)
    for operator, inputs, output in (
        ("Unsqueeze", ["pool.mask", "pool.rows"], "pool.weights"),
        ("MatMul", ["pool.weights", _STATES], "pool.sums"),
        ("ReduceSum", ["pool.weights", "pool.tokens"], "pool.found"),
        ("Max", ["pool.found", "pool.one"], "pool.counts"),
        ("Div", ["pool.sums", "pool.counts"], "pool.means"),
        ("Squeeze", ["pool.means", "pool.rows"], _POOLED),
    ):
        graph.node.append(helper.make_node(operator, inputs, [output], output))
    del graph.output[:]
    graph.output.append(
        helper.make_tensor_value_info(_POOLED, TensorProto.FLOAT, ["batch", hidden])
    )
