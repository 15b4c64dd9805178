"""From a trained PairRM to the pairwise ranker that is loaded: ONNX, and proof that it is the same.

PairRM (Jiang, Ren and Lin, ACL 2023) is a DeBERTa whose states at the tokens that begin the
prompt and the two answers go through a head: h(prompt, answer) = w . tanh(W [prompt; answer]).
The logit of the first answer being better is the mean, over the head's outputs, of
h(prompt, first) - h(prompt, second).
"""

import itertools
import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import DebertaV2Config, DebertaV2Model

from encoders.batches import pad
from encoders.errors import ArtefactInvalidError, EncoderInvalidError, EncoderNotFoundError
from encoders.files import read_object, whole_number
from encoders.pairwise import LOGITS, PairRanker
from encoders.session import Provider

TOLERANCE = 1e-3
"""Largest difference of a logit that float32 may make."""
MAX_SOURCE_TOKENS, MAX_CANDIDATE_TOKENS = 1224, 412
"""What PairRM was trained to read."""

_OPSET = 17
_INPUTS = ("input_ids", "attention_mask")
_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
_PREFIXES = {
    "source": ("source_prefix_id", "<|source|>"),
    "candidate1": ("cand1_prefix_id", "<|candidate1|>"),
    "candidate2": ("cand2_prefix_id", "<|candidate2|>"),
}


class PairRM(nn.Module):
    """The architecture, without what only its training needs.

    Args:
        encoder: Of the DeBERTa.
        tasks: Outputs of the head, which are averaged.
        prefixes: Ids of the tokens that begin the prompt, the first and the second answer.
    """

    def __init__(
        self, encoder: DebertaV2Config, tasks: int, prefixes: tuple[int, int, int]
    ) -> None:
        super().__init__()
        size = encoder.hidden_size
        self.pretrained_model = DebertaV2Model(encoder)
        # The places of the two dropouts are kept, for the names of the weights count them.
        self.head_layer = nn.Sequential(
            nn.Identity(),
            nn.Linear(2 * size, size),
            nn.Tanh(),
            nn.Identity(),
            nn.Linear(size, tasks),
        )
        self.prefixes = prefixes

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (n,) of the first answer being better, of (n, t) ids and their mask."""
        states = self.pretrained_model(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        source, first, second = (
            # Each token stands in a row once, so that the sum is the state at it.
            (states * (input_ids == prefix).unsqueeze(-1)).sum(dim=1)
            for prefix in self.prefixes
        )
        left = self.head_layer(torch.cat([source, first], dim=-1))
        right = self.head_layer(torch.cat([source, second], dim=-1))
        lead: Tensor = (left - right).mean(dim=-1)
        return lead


def load_pairrm(source: Path) -> PairRM:
    """Loads a PairRM in float32; nothing is unpickled.

    Args:
        source: Holds config.json, model.safetensors and tokenizer.json, as PairRM-hf does.

    Raises:
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: The files are not of a PairRM.
    """
    for name in _NEEDED:
        if not (source / name).is_file():
            raise EncoderNotFoundError(f"{source / name} is missing; name a PairRM's directory")
    try:
        return _read(source)
    except EncoderInvalidError:
        raise
    except Exception as error:
        message = f"{source} can't be loaded as a PairRM; fetch it again"
        raise EncoderInvalidError(message) from error


def _read(source: Path) -> PairRM:
    path = source / "config.json"
    values = read_object(path)
    source_id, first, second = (
        whole_number(values, key, path, least=0) for key, _ in _PREFIXES.values()
    )
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    known = [tokenizer.token_to_id(token) for _, token in _PREFIXES.values()]
    if source_id is None or first is None or second is None or known != [source_id, first, second]:
        keys = ", ".join(key for key, _ in _PREFIXES.values())
        message = f"{keys} in {path} are not those of its tokenizer; it is of another model"
        raise EncoderInvalidError(message)
    tasks = whole_number(values, "n_tasks", path) or 1
    model = PairRM(DebertaV2Config.from_dict(values), tasks, (source_id, first, second))
    weights = load_file(source / "model.safetensors")
    # Older versions of transformers saved their positions as if they were learned.
    learned = {name: w.float() for name, w in weights.items() if "position_ids" not in name}
    model.load_state_dict(learned)
    return model.eval()


def export_pairwise(
    source: Path,
    out: Path,
    *,
    max_source_tokens: int = MAX_SOURCE_TOKENS,
    max_candidate_tokens: int = MAX_CANDIDATE_TOKENS,
) -> None:
    """Writes the ranker of a PairRM, for `PairRanker.load`.

    Args:
        source: As of `load_pairrm`.
        out: Directory to write; made where it is missing.
        max_source_tokens: Read of the prompt.
        max_candidate_tokens: Read of each answer.

    Raises:
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: The files are not of a PairRM, or torch can't export it.
    """
    model = load_pairrm(source)
    out.mkdir(parents=True, exist_ok=True)
    _trace(model, out / "model.onnx", source)
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(source / name, out / name)
    template = {key: token for key, (_, token) in _PREFIXES.items()} | {
        "begin": "[CLS]",
        "end": "[SEP]",
        "max_source_tokens": max_source_tokens,
        "max_candidate_tokens": max_candidate_tokens,
        "output": "first-over-second",
    }
    (out / "pairwise.json").write_text(json.dumps(template, indent=2) + "\n", encoding="utf-8")


def prove_pairwise(
    source: Path,
    exported: Path,
    prompt: str,
    answers: Sequence[str],
    tolerance: float = TOLERANCE,
) -> float:
    """Compares answers with torch and with ONNX Runtime, in float32 on the CPU.

    Args:
        source: The trained ranker, as given to `export_pairwise`.
        exported: What that wrote.
        prompt: Such as the ranker will see.
        answers: Two or more.
        tolerance: Largest difference that is no fault.

    Returns:
        The largest absolute difference of a logit.

    Raises:
        ArtefactInvalidError: It is above the tolerance.
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: A ranker can't be loaded.
    """
    served = PairRanker.load(exported, provider=Provider.CPU)
    trained = load_pairrm(source)
    found = served.logits(prompt, answers)
    pairs = list(itertools.permutations(range(len(answers)), 2))
    largest = 0.0
    for pair, row in zip(pairs, served.tokeniser.pairs(prompt, answers, pairs), strict=True):
        ids, mask = pad([row], served.pad_id)
        with torch.inference_mode():
            expected = float(trained(torch.from_numpy(ids), torch.from_numpy(mask)))
        largest = max(largest, float(np.abs(found[pair] - expected)))
    if not largest <= tolerance:
        message = (
            f"the exported ranker differs from the trained one by {largest:.2g} in a logit, "
            f"more than {tolerance:g}; do not use it"
        )
        raise ArtefactInvalidError(message)
    return largest


def _trace(model: PairRM, path: Path, source: Path) -> None:
    ids = torch.full((2, 12), 1)
    for place, prefix in enumerate(model.prefixes):
        ids[:, 4 * place] = prefix
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    axes = {0: "batch", 1: "sequence"}
    try:
        # The tracer warns of what it fixes; `prove_pairwise` finds out whether that matters.
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            torch.onnx.export(
                model,
                (ids, mask),
                str(path),
                input_names=list(_INPUTS),
                output_names=[LOGITS],
                dynamic_axes={**dict.fromkeys(_INPUTS, axes), LOGITS: {0: "batch"}},
                opset_version=_OPSET,
                # The other exporter needs onnxscript, and gains us nothing.
                dynamo=False,
            )
    except Exception as error:
        raise EncoderInvalidError(f"{source} can't be exported to ONNX by torch") from error
