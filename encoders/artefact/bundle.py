"""The artefact itself: a trained router, loaded with every hash checked, and written whole."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from encoders.artefact import inventory
from encoders.artefact.arrays import parse_arrays, require_sane, serialise_arrays
from encoders.artefact.manifest import (
    ARRAYS,
    ENCODER,
    MANIFEST,
    EncoderEntry,
    Manifest,
    ManifestDraft,
    format_of,
    parse_manifest,
)
from encoders.artefact.swap import beside, swap_in
from encoders.errors import ArtefactInvalidError, ArtefactNotFoundError, EncodersError
from encoders.loading import AnyEncoder, encoder_files, load_any_encoder
from encoders.session import Provider
from encoders.tfidf import TfidfEncoder

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Artefact:
    """A trained router, as a directory holds it."""

    directory: Path
    """Where it was read, links resolved."""
    manifest: Manifest
    arrays: dict[str, NDArray[np.float32]]
    """By name; which, and of what shape, the kind of the router says."""
    revision: str
    """16 hex characters of the SHA-256 of manifest.json, which names every file by its hash."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads an artefact and checks every file of it; the encoder is not opened.

        Another process may replace the directory meanwhile: the old one or the new one is read,
        never a mixture.

        Raises:
            ArtefactNotFoundError: The directory is missing, or holds no manifest.json.
            ArtefactInvalidError: A file is missing, changed, too large, not listed or no plain
                file, or the files do not fit together.
        """
        for _ in range(_ATTEMPTS):
            place, before = _place(directory)
            try:
                return cls._read(place)
            except EncodersError:
                if _place(directory) == (place, before):
                    raise
        message = f"{directory} was replaced {_ATTEMPTS} times while it was read; load it again"
        raise ArtefactInvalidError(message)

    @classmethod
    def _read(cls, directory: Path) -> Self:
        try:
            data = inventory.read_limited(directory / MANIFEST, inventory.MOST_MANIFEST_BYTES)
            manifest = parse_manifest(data, directory / MANIFEST)
            arrays = _read_arrays(directory, manifest)
            inventory.verify_files(directory, manifest)
        except OSError as error:
            message = f"{error.filename} can't be read ({error.strerror}); copy the router again"
            raise ArtefactInvalidError(message) from error
        return cls(directory, manifest, arrays, hashlib.sha256(data).hexdigest()[:16])

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the K models, in the order in which the arrays hold them."""
        return tuple(model.name for model in self.manifest.models)

    @property
    def costs(self) -> NDArray[np.float64]:
        """(K,) costs of a mean request; NaN where it is unknown."""
        known = [model.cost for model in self.manifest.models]
        return np.array([np.nan if cost is None else cost for cost in known], dtype=np.float64)

    def load_encoder(
        self,
        provider: Provider = Provider.AUTO,
        threads: int | None = None,
        max_tokens: int | None = None,
    ) -> AnyEncoder:
        """Loads the query encoder, and checks that it is the one of the manifest.

        Args:
            provider: Where the model runs.
            threads: Of ONNX Runtime; `cpu_limit()` if None.
            max_tokens: In place of the encoder's own; its revision is then another.

        Raises:
            ArtefactInvalidError: The directory has changed since it was read, or the encoder
                gives other vectors than the manifest says.
            EncoderNotFoundError: A file of the encoder is missing.
            EncoderInvalidError: The encoder can't be loaded.
            ProviderUnavailableError: CUDA was asked for and is not usable.
        """
        try:
            encoder = load_any_encoder(
                self.directory / ENCODER, provider=provider, threads=threads, max_tokens=max_tokens
            )
        except EncodersError:
            self._require_unchanged()
            raise
        # What was loaded is what had been verified only if it is still there.
        self._require_unchanged()
        self._require_named(encoder, its_own_length=max_tokens is None)
        return encoder

    def _require_unchanged(self) -> None:
        if type(self).load(self.directory).revision != self.revision:
            message = f"{self.directory} was replaced while it was read; load it again"
            raise ArtefactInvalidError(message)

    def _require_named(self, encoder: AnyEncoder, *, its_own_length: bool) -> None:
        named = self.manifest.encoder
        found: dict[str, int | str] = {"kind": _kind(encoder), "dimension": encoder.dimension}
        if its_own_length:
            found |= {"max_tokens": encoder.max_tokens, "revision": encoder.revision}
        for name, value in found.items():
            if value != getattr(named, name):
                message = (
                    f"the {name} of {self.directory / ENCODER} is {value}, but {MANIFEST} says "
                    f"{getattr(named, name)}; export the router again"
                )
                raise ArtefactInvalidError(message)


def write_artefact(
    out: Path,
    draft: ManifestDraft,
    arrays: Mapping[str, NDArray[np.float32]],
    encoder: Path,
    extras: Sequence[Path] = (),
) -> Artefact:
    """Writes an artefact beside `out` and moves it into place when it is whole.

    An artefact that is there is replaced at once; a failure leaves it as it was.

    Args:
        out: The directory; missing, empty, or an artefact.
        draft: What the manifest says, but for what is computed here.
        arrays: Of the router, by name; NaN may stand only where the last part of a dotted name is
            `qualities`.
        encoder: Directory that `SentenceEncoder.load` or `TfidfEncoder.load` reads; only what it
            reads is copied.
        extras: Further files, such as a picture of the training curve; kept by their name.

    Raises:
        ArtefactInvalidError: `out` is something else or can't be written, or the parts do not
            fit together.
        EncoderNotFoundError: A file of the encoder is missing.
        EncoderInvalidError: The encoder can't be loaded.
    """
    target = out.resolve()
    require_replaceable(target)
    try:
        with beside(target) as work:
            _fill(work, draft, arrays, encoder, extras)
            written = Artefact.load(work)
            swap_in(work, target)
    except OSError as error:
        message = f"{out} can't be written ({error.strerror}); name another directory"
        raise ArtefactInvalidError(message) from error
    return Artefact(target, written.manifest, written.arrays, written.revision)


def require_replaceable(out: Path) -> None:
    """Refuses to replace what a person may miss; `write_artefact` asks this first.

    Args:
        out: May be missing, an empty directory, or an artefact, even a damaged one.

    Raises:
        ArtefactInvalidError: It is something else, or can't be read.
    """
    try:
        replaceable = not out.exists() or not any(out.iterdir()) or is_router(out)
    except NotADirectoryError:
        replaceable = False
    except OSError as error:
        message = f"{out} can't be read ({error.strerror}); name another directory"
        raise ArtefactInvalidError(message) from error
    if not replaceable:
        message = f"{out} exists and is no router; name another directory, or remove it"
        raise ArtefactInvalidError(message)


def is_router(directory: Path) -> bool:
    """Whether a directory holds the manifest of a router, which may be damaged.

    Raises:
        OSError: It can't be read.
    """
    manifest = directory / MANIFEST
    return manifest.is_file() and format_of(manifest.read_bytes()) is not None


def _place(directory: Path) -> tuple[Path, tuple[int, int, int]]:
    """A directory with links resolved, and what tells it from one that replaces it."""
    try:
        place = directory.resolve(strict=True)
        status = place.stat()
        found = (place / MANIFEST).exists()
    except (OSError, RuntimeError) as error:  # Python 3.11 has RuntimeError for links in a circle
        why = error.strerror if isinstance(error, OSError) else "its links go in a circle"
        message = f"{directory} can't be read ({why}); name the directory of a router"
        raise ArtefactNotFoundError(message) from error
    if not found:
        message = f"{directory} holds no {MANIFEST}; name the directory of a router"
        raise ArtefactNotFoundError(message)
    return place, (status.st_dev, status.st_ino, status.st_ctime_ns)


def _read_arrays(directory: Path, manifest: Manifest) -> dict[str, NDArray[np.float32]]:
    path = directory / ARRAYS
    data = inventory.read_limited(path, inventory.MOST_ARRAY_BYTES)
    if hashlib.sha256(data).hexdigest() != manifest.files[ARRAYS]:
        raise inventory.changed(path)
    arrays = parse_arrays(data, path)
    require_sane(arrays, path)
    return arrays


def _fill(
    work: Path,
    draft: ManifestDraft,
    arrays: Mapping[str, NDArray[np.float32]],
    encoder: Path,
    extras: Sequence[Path],
) -> None:
    _copy_encoder(encoder, work / ENCODER)
    for extra in extras:
        if (work / extra.name).exists() or extra.name in (MANIFEST, ARRAYS):
            message = f"{extra} can't be kept as {extra.name}, which is taken; rename it"
            raise ArtefactInvalidError(message)
        shutil.copyfile(extra, work / extra.name)
    (work / ARRAYS).write_bytes(_within_limit(serialise_arrays(arrays)))
    entry = _describe(load_any_encoder(work / ENCODER, provider=Provider.CPU), draft)
    kept = {name: getattr(draft, name) for name in draft.model_fields_set - _ENCODER_FIELDS}
    manifest = Manifest(**kept, encoder=entry, files=inventory.hashes_of(work))
    (work / MANIFEST).write_bytes(manifest.serialise())


def _within_limit(data: bytes) -> bytes:
    if len(data) > inventory.MOST_ARRAY_BYTES:
        message = f"the arrays of this router take {len(data)} bytes, and one may hold " + (
            f"{inventory.MOST_ARRAY_BYTES}; train it on fewer prompts, or by a method that does "
            "not keep them"
        )
        raise ArtefactInvalidError(message)
    return data


_ENCODER_FIELDS = {"encoder_name", "precision"}


def _copy_encoder(source: Path, target: Path) -> None:
    for path in encoder_files(source):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)


def _describe(encoder: AnyEncoder, draft: ManifestDraft) -> EncoderEntry:
    return EncoderEntry(
        kind=_kind(encoder),
        name=draft.encoder_name,
        revision=encoder.revision,
        dimension=encoder.dimension,
        max_tokens=encoder.max_tokens,
        precision=draft.precision,
    )


def _kind(encoder: AnyEncoder) -> Literal["sentence", "tf-idf"]:
    return "tf-idf" if isinstance(encoder, TfidfEncoder) else "sentence"
