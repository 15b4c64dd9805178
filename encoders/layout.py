"""The Hugging Face layout: which files make an encoder, and what they say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from encoders.errors import EncoderInvalidError, EncoderNotFoundError
from encoders.files import read_json, read_object, whole_number
from encoders.pooling import Pooling

_MODELS = ("model.onnx", "onnx/model.onnx")
_OPTIONAL = ("modules.json", "sentence_bert_config.json", "tokenizer_config.json")
_POOLABLE_MODULES = frozenset({"Transformer", "Pooling", "Normalize"})
_FALLBACK_MAX_TOKENS = 512
# Tokenisers write 1e30 where they know no limit.
_NO_LIMIT = 1_000_000
# Their position 0 stands behind the padding index, so some positions are lost.
_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})


@dataclass(frozen=True, slots=True)
class Layout:
    """What the files of one encoder say."""

    directory: Path
    model: Path
    """The ONNX model."""
    tokenizer: Path
    """`tokenizer.json`."""
    pooling_modes: tuple[str, ...]
    """As the pooling module names them; mean where there is none."""
    modules: tuple[str, ...]
    """Class names of the Sentence Transformers modules, in order; may be empty."""
    embedding_size: int | None
    """Length of the vectors before any further module, where a file says it."""
    max_tokens: int
    """Tokens that the encoder reads of a text, special ones included."""
    positions: int | None
    """Tokens that the model could read, where a file says it."""
    pad_id: int
    lowercase: bool
    """Texts are lower-cased before they are tokenised."""
    pooling_config: Path
    """Where the pooling module keeps its configuration, if it has one."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Reads the small files of a directory; the model itself is not opened.

        Raises:
            EncoderNotFoundError: A file is missing.
            EncoderInvalidError: A file can't be parsed, or holds nonsense.
        """
        model, tokenizer = _find_model(directory), directory / "tokenizer.json"
        if not tokenizer.is_file():
            raise EncoderNotFoundError(f"{directory} holds no tokenizer.json; add it")
        config = read_object(directory / "config.json")
        modules, pooling_path = _read_modules(directory)
        pooling = read_object(pooling_path, optional=True)
        sentence = read_object(directory / "sentence_bert_config.json", optional=True)
        positions = positions_of(config, directory)
        return cls(
            directory=directory,
            model=model,
            tokenizer=tokenizer,
            pooling_modes=_pooling_modes(pooling),
            modules=modules,
            embedding_size=_embedding_size(config, pooling, directory, pooling_path),
            max_tokens=_max_tokens(sentence, positions, directory),
            positions=positions,
            pad_id=whole_number(config, "pad_token_id", directory / "config.json", least=0) or 0,
            lowercase=sentence.get("do_lower_case") is True,
            pooling_config=pooling_path,
        )

    def files(self) -> tuple[Path, ...]:
        """The files that make the encoder, relative to its directory."""
        optional = (self.pooling_config, *(self.directory / name for name in _OPTIONAL))
        needed = (*self.model_files(), self.tokenizer, self.directory / "config.json")
        found = (*needed, *(path for path in optional if path.exists()))
        return tuple(path.relative_to(self.directory) for path in found)

    def model_files(self) -> tuple[Path, ...]:
        """The model and, of a large one, the weights beside it."""
        # Those are in files that begin with its name.
        return tuple(sorted(self.model.parent.glob(f"{self.model.name}*")))

    def require_pooling(self) -> Pooling:
        """The pooling, for a model that gives one vector per token.

        Raises:
            EncoderInvalidError: It is neither mean nor CLS, or more modules follow.
        """
        further = sorted(set(self.modules) - _POOLABLE_MODULES)
        if further:
            message = (
                f"{self.directory} wants the module {further[0]}, which only an ONNX model with an "
                "output named sentence_embedding can bring; export it so"
            )
            raise EncoderInvalidError(message)
        if len(self.pooling_modes) != 1 or self.pooling_modes[0] not in ("mean", "cls"):
            named = " and ".join(self.pooling_modes) or "nothing"
            message = f"{self.directory} pools by {named}; only mean or cls can be served"
            raise EncoderInvalidError(message)
        return Pooling(self.pooling_modes[0])


def _find_model(directory: Path) -> Path:
    if not directory.is_dir():
        raise EncoderNotFoundError(f"{directory} is not a directory; name one with an encoder")
    for name in _MODELS:
        if (directory / name).is_file():
            return directory / name
    message = f"{directory} holds neither {_MODELS[0]} nor {_MODELS[1]}; export the encoder to ONNX"
    raise EncoderNotFoundError(message)


def _read_modules(directory: Path) -> tuple[tuple[str, ...], Path]:
    """Names of the modules, and where the pooling module keeps its config."""
    path = directory / "modules.json"
    entries = read_json(path) if path.exists() else []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise EncoderInvalidError(f"{path} does not hold a list of modules; fetch it again")
    names = tuple(str(entry.get("type", "")).rpartition(".")[2] for entry in entries)
    folder = "1_Pooling"
    if "Pooling" in names:
        folder = str(entries[names.index("Pooling")].get("path", folder))
    if Path(folder).is_absolute() or ".." in Path(folder).parts:
        raise EncoderInvalidError(f"{path} names the folder {folder}, outside; fetch it again")
    return names, directory / folder / "config.json"


def _pooling_modes(pooling: dict[str, object]) -> tuple[str, ...]:
    named = pooling.get("pooling_mode")
    if isinstance(named, str):
        return (named,)
    if isinstance(named, list):
        return tuple(str(mode) for mode in named)
    flags = (key for key, value in pooling.items() if value is True)
    modes = (key.removeprefix("pooling_mode_") for key in flags if key.startswith("pooling_mode_"))
    found = tuple(mode.removesuffix("_tokens").removesuffix("_token") for mode in modes)
    return found if pooling else ("mean",)


def _embedding_size(
    config: dict[str, object], pooling: dict[str, object], directory: Path, pooling_path: Path
) -> int | None:
    hidden = whole_number(config, "hidden_size", directory / "config.json")
    for key in ("word_embedding_dimension", "embedding_dimension"):
        pooled = whole_number(pooling, key, pooling_path)
        if hidden is not None and pooled is not None and hidden != pooled:
            message = (
                f"hidden_size is {hidden} in {directory / 'config.json'} but {key} is {pooled} "
                f"in {pooling_path}; the files are of different encoders"
            )
            raise EncoderInvalidError(message)
        hidden = hidden or pooled
    return hidden


def positions_of(config: dict[str, object], directory: Path) -> int | None:
    """How many tokens a model has positions for, by its `config.json`; None where it does not say.

    Raises:
        EncoderInvalidError: It says nonsense.
    """
    path = directory / "config.json"
    positions = whole_number(config, "max_position_embeddings", path)
    if positions is not None and config.get("model_type") in _OFFSET_POSITIONS:
        positions -= (whole_number(config, "pad_token_id", path) or 1) + 1
    return positions


def _max_tokens(sentence: dict[str, object], positions: int | None, directory: Path) -> int:
    named = whole_number(sentence, "max_seq_length", directory / "sentence_bert_config.json")
    if named is not None:
        return named
    path = directory / "tokenizer_config.json"
    tokenizer = whole_number(read_object(path, optional=True), "model_max_length", path)
    known = [limit for limit in (tokenizer, positions) if limit and limit < _NO_LIMIT]
    return min(known, default=_FALLBACK_MAX_TOKENS)
