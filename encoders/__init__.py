"""Text to vectors: sentence encoders on ONNX Runtime, or counted terms, with no torch.

Names are imported when they are first used, so that a process can ask for its `cpu_limit` and size
the thread pools of NumPy and ONNX Runtime before either is loaded.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encoders.artefact.bundle import Artefact, write_artefact
    from encoders.artefact.manifest import Manifest, ManifestDraft, Precision
    from encoders.cpu import cpu_limit
    from encoders.embedded import embedded_encoder
    from encoders.errors import (
        ArtefactInvalidError,
        ArtefactNotFoundError,
        EncoderInvalidError,
        EncoderNotFoundError,
        EncodersError,
        ProviderUnavailableError,
    )
    from encoders.loading import AnyEncoder, load_any_encoder
    from encoders.pairwise import PairRanker
    from encoders.parallelism import Parallelism, share_cores
    from encoders.sentence import Encoded, SentenceEncoder
    from encoders.session import Provider
    from encoders.tfidf import TfidfEncoder
    from encoders.tokeniser import Tokens

_HOMES = {
    "AnyEncoder": "loading",
    "Artefact": "artefact.bundle",
    "ArtefactInvalidError": "errors",
    "ArtefactNotFoundError": "errors",
    "Encoded": "sentence",
    "EncoderInvalidError": "errors",
    "EncoderNotFoundError": "errors",
    "EncodersError": "errors",
    "Manifest": "artefact.manifest",
    "ManifestDraft": "artefact.manifest",
    "PairRanker": "pairwise",
    "Parallelism": "parallelism",
    "Precision": "artefact.manifest",
    "Provider": "session",
    "ProviderUnavailableError": "errors",
    "SentenceEncoder": "sentence",
    "TfidfEncoder": "tfidf",
    "Tokens": "tokeniser",
    "cpu_limit": "cpu",
    "embedded_encoder": "embedded",
    "load_any_encoder": "loading",
    "share_cores": "parallelism",
    "write_artefact": "artefact.bundle",
}

__all__ = [
    "AnyEncoder",
    "Artefact",
    "ArtefactInvalidError",
    "ArtefactNotFoundError",
    "Encoded",
    "EncoderInvalidError",
    "EncoderNotFoundError",
    "EncodersError",
    "Manifest",
    "ManifestDraft",
    "PairRanker",
    "Parallelism",
    "Precision",
    "Provider",
    "ProviderUnavailableError",
    "SentenceEncoder",
    "TfidfEncoder",
    "Tokens",
    "cpu_limit",
    "embedded_encoder",
    "load_any_encoder",
    "share_cores",
    "write_artefact",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'encoders' has no attribute {name!r}")
    return getattr(importlib.import_module(f"encoders.{home}"), name)
