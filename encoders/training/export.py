"""From a trained encoder to the one that is served: ONNX, and proof that it is the same."""

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoders.assembly import assemble_bert
from encoders.batches import CPU, group_by_length, pad
from encoders.bert import BertShape
from encoders.errors import ArtefactInvalidError, EncoderInvalidError
from encoders.pooling import Pooling
from encoders.sentence import SentenceEncoder
from encoders.session import Provider
from encoders.training.source import Source

TOLERANCE = 1e-4
"""Largest difference of a coordinate that float32 may make."""

# Older than every ONNX Runtime that the project allows.
_OPSET = 17
_INPUTS = ("input_ids", "attention_mask")
_OUTPUT = "last_hidden_state"


def export_encoder(source: Path, out: Path, *, pooling: Pooling, max_tokens: int) -> None:
    """Writes the ONNX encoder of a trained one.

    A BERT is assembled from its weights with fused operators (`encoders.assembly`), which run
    faster; torch traces every other architecture.

    Args:
        source: Hugging Face directory: config.json, model.safetensors, tokenizer.json.
        out: Directory to write, for `SentenceEncoder.load`; made where it is missing.
        pooling: Mean or CLS.
        max_tokens: Tokens that the encoder reads of a text, special ones included.

    Raises:
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: The weights are damaged, or the architecture can't be exported.
    """
    read = Source.read(source)
    out.mkdir(parents=True, exist_ok=True)
    if _can_be_assembled(source):
        assemble_bert(source, out / "model.onnx")
        shutil.copyfile(source / "config.json", out / "config.json")
    else:
        encoder = read.load(None)
        _trace(encoder, out / "model.onnx", read)
        # As a whole: what a configuration leaves out may have another default elsewhere.
        _write(out / "config.json", encoder.config.to_dict())  # type: ignore[operator,union-attr]
    shutil.copyfile(read.tokenizer, out / "tokenizer.json")
    _write(out / "1_Pooling/config.json", {"pooling_mode": pooling.value})
    limits = {"max_seq_length": max_tokens, "do_lower_case": read.lowercase}
    _write(out / "sentence_bert_config.json", limits)


def prove(
    source: Path, exported: Path, texts: Sequence[str], tolerance: float = TOLERANCE
) -> float:
    """Encodes texts with torch and with ONNX Runtime, in float32 on the CPU.

    Torch's vectors are pooled and scaled in float64, by code that shares nothing with
    `encoders.pooling`.

    Args:
        source: The trained encoder, as given to `export_encoder`.
        exported: What that wrote.
        texts: Such as the router will see.
        tolerance: Largest difference that is no fault.

    Returns:
        The largest absolute difference of a coordinate of unit vectors; 0 of no texts.

    Raises:
        ArtefactInvalidError: It is above the tolerance.
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: An encoder can't be loaded.
    """
    served = SentenceEncoder.load(exported, provider=Provider.CPU)
    trained = Source.read(source).load(None).eval()
    tokens = served.tokenise(texts)
    found = served.encode_tokens(tokens)
    largest = 0.0
    lengths = np.array([text.ids.size for text in tokens], dtype=np.int64)
    for chosen in group_by_length(lengths, CPU):
        ids, mask = pad([tokens[index].ids for index in chosen], served.pad_id)
        expected = _unit_vectors(trained, served.pooling, ids, mask)
        largest = max(largest, float(np.abs(found[chosen] - expected).max()))
    if not largest <= tolerance:
        message = (
            f"the exported encoder differs from the trained one by {largest:.2g} in a coordinate, "
            f"more than {tolerance:g}; do not serve it, and report its architecture"
        )
        raise ArtefactInvalidError(message)
    return largest


def _can_be_assembled(source: Path) -> bool:
    try:
        BertShape.read(source / "config.json")
    except EncoderInvalidError:
        return False
    return True


class _LastHiddenState(nn.Module):
    """An encoder with plain inputs and one plain output, as ONNX has them."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return states


def _trace(encoder: nn.Module, model: Path, source: Source) -> None:
    ids = torch.full((2, 9), source.pad_id)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    axes = {0: "batch", 1: "sequence"}
    try:
        # The tracer warns of what it fixes; `prove` finds out whether that matters.
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            torch.onnx.export(
                _LastHiddenState(encoder).eval(),
                (ids, mask),
                str(model),
                input_names=list(_INPUTS),
                output_names=[_OUTPUT],
                dynamic_axes=dict.fromkeys((*_INPUTS, _OUTPUT), axes),
                opset_version=_OPSET,
                # The other exporter needs onnxscript, and gains us nothing.
                dynamo=False,
            )
    except Exception as error:
        message = f"{source.directory} is of an architecture that torch can't export to ONNX"
        raise EncoderInvalidError(f"{message}; train another") from error


def _unit_vectors(
    encoder: nn.Module, pooling: Pooling, ids: NDArray[np.int64], mask: NDArray[np.int64]
) -> NDArray[np.float64]:
    with torch.inference_mode():
        output = encoder(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
    states = output.last_hidden_state.double()
    if pooling is Pooling.CLS:
        pooled = states[:, 0]
    else:
        weights = torch.from_numpy(mask)[:, :, None].double()
        pooled = (states * weights).sum(dim=1) / weights.sum(dim=1)
    unit: NDArray[np.float64] = nn.functional.normalize(pooled, dim=1).numpy()
    return unit


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
