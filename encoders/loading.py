"""An encoder of either sort from its directory."""

from pathlib import Path
from typing import TypeAlias

from encoders.errors import EncoderNotFoundError
from encoders.layout import Layout
from encoders.sentence import SentenceEncoder
from encoders.session import Provider
from encoders.tfidf import FILES, TfidfEncoder, is_tfidf

AnyEncoder: TypeAlias = SentenceEncoder | TfidfEncoder
"""Both have revision, dimension, max_tokens, batch_tokens, batches_at_a_time, tokenise,
cut, encode_tokens and encode."""


def load_any_encoder(
    directory: Path,
    *,
    provider: Provider = Provider.AUTO,
    threads: int | None = None,
    max_tokens: int | None = None,
) -> AnyEncoder:
    """Loads the TF-IDF encoder or the sentence encoder of a directory.

    Args:
        directory: What `TfidfEncoder.load` or `SentenceEncoder.load` reads.
        provider: Where the model of a sentence encoder runs.
        threads: Of ONNX Runtime; `cpu_limit()` if None.
        max_tokens: In place of the encoder's own.

    Raises:
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: A file is damaged, or the files do not fit together.
        ProviderUnavailableError: CUDA was asked for and is not usable.
    """
    if is_tfidf(directory):
        return TfidfEncoder.load(directory, max_tokens=max_tokens)
    return SentenceEncoder.load(
        directory, provider=provider, threads=threads, max_tokens=max_tokens
    )


def encoder_files(directory: Path) -> tuple[Path, ...]:
    """The files that make the encoder of a directory, relative to it.

    Raises:
        EncoderNotFoundError: A file is missing.
        EncoderInvalidError: A file can't be parsed.
    """
    if is_tfidf(directory):
        for missing in (name for name in FILES if not (directory / name).is_file()):
            raise EncoderNotFoundError(f"{directory} holds no {missing}; add it")
        return tuple(Path(name) for name in FILES)
    return Layout.read(directory).files()
