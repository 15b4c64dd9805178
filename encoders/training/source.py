"""The encoder that a training begins from, and the one that it leaves: Hugging Face layout."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import nn
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from encoders.errors import EncoderInvalidError, EncoderNotFoundError
from encoders.files import read_object, sha256_of, whole_number
from encoders.layout import positions_of
from encoders.pooling import Pooling
from encoders.training.errors import TrainingError

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
_COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_SENTENCE = "sentence_bert_config.json"
_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
)


@dataclass(frozen=True, slots=True)
class Source:
    """A directory with an encoder's weights, and what its small files say."""

    directory: Path
    pad_id: int
    lowercase: bool
    """Texts are lower-cased before they are tokenised."""
    positions: int | None
    """Tokens that the encoder can read, where its files say it."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Reads the small files; the weights are not opened.

        Raises:
            EncoderNotFoundError: A file is missing.
            EncoderInvalidError: A file can't be parsed.
        """
        for name in _NEEDED:
            if not (directory / name).is_file():
                message = f"{directory / name} is missing; name a Hugging Face encoder directory"
                raise EncoderNotFoundError(message)
        path = directory / "config.json"
        config = read_object(path)
        pad_id = whole_number(config, "pad_token_id", path, least=0) or 0
        lowercase = read_object(directory / _SENTENCE, optional=True).get("do_lower_case") is True
        return cls(directory, pad_id, lowercase, positions_of(config, directory))

    @property
    def tokenizer(self) -> Path:
        """`tokenizer.json`."""
        return self.directory / "tokenizer.json"

    def fingerprint(self) -> str:
        """SHA-256 over weights, configuration and tokenizer, as 64 hex characters."""
        return sha256_of([self.directory / name for name in _NEEDED], str(self.lowercase))

    def load(self, dropout: float | None) -> nn.Module:
        """Loads the encoder with fp32 weights, and without the head that some bring.

        Code of the directory is never run, and nothing is unpickled.

        Args:
            dropout: In place of the encoder's own; its own if None.

        Raises:
            EncoderInvalidError: The weights are damaged, or of another architecture, or there
                is a decoder too.
        """
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        # It would report the head that we leave out.
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        try:
            config = AutoConfig.from_pretrained(self.directory, local_files_only=True)
            _require_no_decoder(config, self.directory)
            for name in _DROPOUTS if dropout is not None else ():
                if hasattr(config, name):
                    setattr(config, name, dropout)
            encoder, found = AutoModel.from_pretrained(
                self.directory,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except EncoderInvalidError:
            raise
        except Exception as error:
            message = f"{self.directory} can't be loaded as an encoder; fetch it again"
            raise EncoderInvalidError(message) from error
        missing = sorted(name for name in found["missing_keys"] if "pooler" not in name)
        if missing:
            raise EncoderInvalidError(f"{self.directory} lacks the weights {missing[0]}")
        if hasattr(encoder, "pooler"):
            encoder.pooler = None  # Our pooling takes its place; it would never get a gradient.
        return encoder  # type: ignore[no-any-return]


def _require_no_decoder(config: object, directory: Path) -> None:
    if getattr(config, "is_encoder_decoder", False):
        message = f"{directory} is an encoder with a decoder; name an encoder alone, such as a BERT"
        raise EncoderInvalidError(message)


def hidden_size(encoder: nn.Module) -> int:
    """Length of the encoder's vectors."""
    return int(encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]


def freeze(encoder: nn.Module, layers: int) -> None:
    """Takes the gradient from the token embeddings and the first layers.

    Raises:
        TrainingError: The encoder has fewer layers, or none that can be told.
    """
    count = getattr(encoder.config, "num_hidden_layers", None)
    stack = next(
        (
            module
            for module in encoder.modules()
            if isinstance(module, nn.ModuleList) and len(module) == count
        ),
        None,
    )
    embeddings = getattr(encoder, "embeddings", None)
    if stack is None or embeddings is None:
        raise TrainingError("the encoder's layers can't be told apart; train without freezing")
    if layers > len(stack):
        raise TrainingError(f"freeze_layers is {layers}; the encoder has {len(stack)} layers")
    for module in (embeddings, *stack[:layers]):
        module.requires_grad_(requires_grad=False)


def write_encoder(
    source: Source,
    encoder: nn.Module,
    out: Path,
    *,
    pooling: Pooling,
    max_tokens: int,
) -> None:
    """Writes a trained encoder, its tokenizer, its pooling and its limit.

    Args:
        source: Where it began.
        encoder: As it is now.
        out: A directory; files in it are replaced.
        pooling: Mean or CLS.
        max_tokens: That it reads of a text.
    """
    out.mkdir(parents=True, exist_ok=True)
    encoder.save_pretrained(out)  # type: ignore[operator]
    for name in _COPIED:
        if (source.directory / name).is_file():
            shutil.copyfile(source.directory / name, out / name)
    dimension = hidden_size(encoder)
    modes = {f"pooling_mode_{name}": False for name in ("cls_token", "mean_tokens", "max_tokens")}
    modes[f"pooling_mode_{'cls_token' if pooling is Pooling.CLS else 'mean_tokens'}"] = True
    _write(out / "1_Pooling/config.json", {"word_embedding_dimension": dimension, **modes})
    limits = {"max_seq_length": max_tokens, "do_lower_case": source.lowercase}
    _write(out / _SENTENCE, limits)
    _write(out / "modules.json", _MODULES)


_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {
        "idx": 2,
        "name": "2",
        "path": "2_Normalize",
        "type": "sentence_transformers.models.Normalize",
    },
]


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
