"""A pairwise ranker of PairRM's form, small enough to be computed by hand."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.unit.encoding.tiny_bert import VOCABULARY, tiny_tokenizer

PREFIXES = ("<|source|>", "<|candidate1|>", "<|candidate2|>")
SOURCE, FIRST, SECOND = (len(VOCABULARY) + place for place in range(3))
TEMPLATE = {
    "source": "<|source|>",
    "candidate1": "<|candidate1|>",
    "candidate2": "<|candidate2|>",
    "begin": "[CLS]",
    "end": "[SEP]",
    "max_source_tokens": 12,
    "max_candidate_tokens": 8,
    "output": "first-over-second",
}
ORDER_BIAS = 0.75
SIZE = 5


def weights(seed=0):
    random = np.random.default_rng(seed)
    return {
        "table": random.normal(size=(len(VOCABULARY) + 3, SIZE)).astype(np.float32),
        "inner": random.normal(size=(2 * SIZE, SIZE)).astype(np.float32),
        "outer": random.normal(size=(SIZE, 1)).astype(np.float32),
    }


def expected_logit(ids, arrays):
    """Of one row of token ids: each part's tokens are summed up at the token that begins it."""
    parts = np.split(np.asarray(ids), [list(ids).index(FIRST), list(ids).index(SECOND)])
    source, first, second = (arrays["table"][part].astype(float).sum(axis=0) for part in parts)

    def head(answer):
        inner = np.tanh(np.concatenate([source, answer]) @ arrays["inner"].astype(float))
        return float((inner @ arrays["outer"].astype(float))[0])

    return head(first) - head(second) + ORDER_BIAS


def _nodes(shape):
    make = helper.make_node
    yield make("Gather", ["table", "input_ids"], ["looked"])
    yield make("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT)
    for name in ("first", "second"):
        yield make("Equal", ["input_ids", f"{name}_id"], [f"{name}_here"])
        yield make("Cast", [f"{name}_here"], [f"{name}_at"], to=TensorProto.FLOAT)
        yield make("CumSum", [f"{name}_at", "axis"], [f"after_{name}"])
    yield make("Sub", ["mask", "after_first"], ["in_source_or_less"])
    yield make("Relu", ["in_source_or_less"], ["in_source"])
    yield make("Sub", ["after_first", "after_second"], ["in_first"])
    yield make("Mul", ["after_second", "mask"], ["in_second"])
    for part in ("source", "first", "second"):
        yield make("Unsqueeze", [f"in_{part}", "last"], [f"wide_{part}"])
        yield make("Mul", ["looked", f"wide_{part}"], [f"kept_{part}"])
        yield make("ReduceSum", [f"kept_{part}", "axis"], [f"state_{part}"], keepdims=0)
    for part in ("first", "second"):
        yield make("Concat", ["state_source", f"state_{part}"], [f"both_{part}"], axis=1)
        yield make("MatMul", [f"both_{part}", "inner"], [f"inner_{part}"])
        yield make("Tanh", [f"inner_{part}"], [f"bent_{part}"])
        yield make("MatMul", [f"bent_{part}", "outer"], [f"head_{part}"])
    yield make("Add", ["head_first", "bias"], ["biased_first"])
    if shape == "two":
        yield make("Concat", ["biased_first", "head_second"], ["logits"], axis=1)
        return
    yield make("Sub", ["biased_first", "head_second"], ["lead"])
    if shape == "column":
        yield make("Identity", ["lead"], ["logits"])
    else:
        yield make("Squeeze", ["lead", "last_of_two"], ["logits"])


def ranker_model(arrays, *, shape="flat", output="logits"):
    constants = {
        **arrays,
        "first_id": np.array(FIRST, dtype=np.int64),
        "second_id": np.array(SECOND, dtype=np.int64),
        "axis": np.array([1], dtype=np.int64),
        "last": np.array([2], dtype=np.int64),
        "last_of_two": np.array([1], dtype=np.int64),
        "bias": np.array([[ORDER_BIAS]], dtype=np.float32),
    }
    nodes = list(_nodes(shape))
    nodes[-1].output[0] = output
    axes = ("batch", "sequence")
    form = {"flat": ("batch",), "column": ("batch", 1), "two": ("batch", 2)}[shape]
    graph = helper.make_graph(
        nodes,
        "ranker",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, axes)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, form)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def ranker_tokenizer():
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens(list(PREFIXES))
    return tokenizer


def write_ranker(directory: Path, *, arrays=None, template=TEMPLATE, **options):
    """A directory such as `PairRanker.load` reads."""
    directory.mkdir(parents=True, exist_ok=True)
    onnx.save(ranker_model(arrays or weights(), **options), directory / "model.onnx")
    ranker_tokenizer().save(str(directory / "tokenizer.json"))
    (directory / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    (directory / "pairwise.json").write_text(json.dumps(template))
    return directory
