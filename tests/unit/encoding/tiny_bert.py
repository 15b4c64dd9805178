"""Small encoders of random weights, made on the spot."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("the", "cat", "sat", "mat", "dog", "##s", "你", "好", *"abcdefghij", *"!.,")
VOCABULARY = {token: index for index, token in enumerate((*SPECIAL, *WORDS))}
CLS, SEP = VOCABULARY["[CLS]"], VOCABULARY["[SEP]"]
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "vocab_size": len(VOCABULARY),
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


def tiny_tokenizer(*, template=True):
    tokenizer = Tokenizer(WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    if template:
        special = [("[CLS]", CLS), ("[SEP]", SEP)]
        tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=special)
    # An encoder must set both aside.
    tokenizer.enable_padding(length=32)
    tokenizer.enable_truncation(5)
    return tokenizer


def _layer_shapes(layer, hidden, wide):
    name = f"encoder.layer.{layer}"
    for part in ("self.query", "self.key", "self.value", "output.dense"):
        yield f"{name}.attention.{part}", (hidden, hidden)
    yield f"{name}.intermediate.dense", (wide, hidden)
    yield f"{name}.output.dense", (hidden, wide)


def tiny_weights(config=CONFIG, seed=0):
    """Weights large enough that attention and GELU are far from linear."""
    random = np.random.default_rng(seed)
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    tables = {
        "word": config["vocab_size"],
        "position": config["max_position_embeddings"],
        "token_type": config["type_vocab_size"],
    }
    weights = {
        f"embeddings.{name}_embeddings.weight": random.normal(size=(rows, hidden))
        for name, rows in tables.items()
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(config["num_hidden_layers"]):
        for name, shape in _layer_shapes(layer, hidden, wide):
            weights[f"{name}.weight"] = random.normal(size=shape)
            weights[f"{name}.bias"] = random.normal(size=shape[0])
        norms += [
            f"encoder.layer.{layer}.{part}.LayerNorm" for part in ("attention.output", "output")
        ]
    for name in norms:
        weights[f"{name}.weight"] = 1 + random.normal(size=hidden) / 4
        weights[f"{name}.bias"] = random.normal(size=hidden) / 4
    return {name: array.astype(np.float32) for name, array in weights.items()}


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_source(directory: Path, *, config=CONFIG, weights=None, prefix="", max_tokens=12):
    """A directory such as the package of the embedded encoder carries."""
    weights = tiny_weights(config) if weights is None else weights
    write_json(directory / "config.json", config)
    save_file(
        {prefix + name: array for name, array in weights.items()}, directory / "model.safetensors"
    )
    tiny_tokenizer().save(str(directory / "tokenizer.json"))
    write_json(directory / "sentence_bert_config.json", {"max_seq_length": max_tokens})
    pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
    write_json(directory / "1_Pooling/config.json", pooling)
    types = ("Transformer", "Pooling", "Normalize")
    modules = [
        {
            "idx": index,
            "path": f"{index}_{name}" if index else "",
            "type": f"sentence.models.{name}",
        }
        for index, name in enumerate(types)
    ]
    write_json(directory / "modules.json", modules)
    return directory


def lookup_model(outputs, *, integer=TensorProto.INT32, axes=("batch", "sequence"), dimension=6):
    """An ONNX model that looks token ids up in a table and declares no mask.

    `outputs` names them: each is (n, t, d), but sentence_embedding is its sum over t.
    """
    table = np.random.default_rng(1).normal(size=(len(VOCABULARY), dimension)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["vectors"])]
    values = []
    for name in outputs:
        pooled = name == "sentence_embedding"
        operator = "ReduceSum" if pooled else "Identity"
        inputs = ["vectors", "axis"] if pooled else ["vectors"]
        attributes = {"keepdims": 0} if pooled else {}
        nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        shape = (axes[0], dimension) if pooled else (*axes, dimension)
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
    ]
    ids = helper.make_tensor_value_info("input_ids", integer, axes)
    graph = helper.make_graph(nodes, "lookup", [ids], values, constants)
    opsets = [helper.make_opsetid("", 17)]
    return table, helper.make_model(graph, opset_imports=opsets, ir_version=8)


def write_lookup(directory: Path, *outputs, **options):
    """A directory with a hand-made model in onnx/ and as few other files as may be."""
    table, model = lookup_model(outputs, **options)
    (directory / "onnx").mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(directory / "onnx/model.onnx"))
    write_json(directory / "config.json", {"model_type": "lookup"})
    tiny_tokenizer().save(str(directory / "tokenizer.json"))
    return table
