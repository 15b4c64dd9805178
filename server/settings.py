"""The settings of the server: one frozen, documented value, parsed once and passed down.

A setting comes from, in this order: a flag, an environment variable
(`POINTSMAN_MEMORY__CAPACITY` for `memory.capacity`), the YAML file, the default.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as PydanticSettingsError,
)

from server.errors import SettingsError
from server.names import NAME_RULE, is_name
from server.routers.settings import (
    PoolRouterSettings,
    RouterSettings,
    SmoothieRouterSettings,
)
from server.sections import Count, HomePath, Seconds, Section, expandable

_SOCKET_PATH_BYTES = 107
_DEFAULT_ROUTER = "default"


def _with_port(address: str | None) -> str | None:
    if address is None:
        return None
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise ValueError("is not host:port, as in 127.0.0.1:50051 or [::]:50051")
    return address


class LogSettings(Section):
    """What the server writes to standard error. Never the text of a prompt or an answer."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe line that is written."""
    format: Literal["json", "console"] = "json"
    """`json` for machines, `console` for people."""
    requests: bool = True
    """Writes a line for every request; without it, only for those that failed."""


class EncoderSettings(Section):
    """How texts become vectors."""

    directory: HomePath | None = None
    """A directory in the Hugging Face layout with an ONNX model and `tokenizer.json`; the
    embedded all-MiniLM-L6-v2 if absent."""
    cache: HomePath = Path("~/.cache/pointsman")
    """Where the embedded encoder is assembled, once."""
    precision: Literal["fp32", "fp16", "int8-dynamic"] = "fp32"
    """Numbers that the embedded encoder computes with. `int8-dynamic` is faster and smaller, and
    runs on the CPU; `fp16` is for CUDA. Vectors of one precision are not comparable with those of
    another, so a pool learned with one is not read with another. An encoder of your own keeps its
    precision."""
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA where it is really there; `cuda` refuses to start where it is not."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads that may share one batch on a CPU; 0 for as many cores as the cgroup grants, at
    most 4."""
    batches: int = Field(default=0, ge=0, le=256)
    """Batches encoded at a time; 0 for as many as keep the cores at work: 1 on up to four cores,
    one a core where texts run alone (int8), and 2 on CUDA."""
    max_tokens: int | None = Field(default=None, ge=4, le=1_000_000)
    """Tokens read of a text, special ones included; the encoder's own limit if absent."""
    batch_tokens: int = Field(default=0, ge=0)
    """Most tokens of one batch; 0 for 2,048 on a CPU (1,024 in int8) and 16,384 on CUDA. A larger
    batch keeps others waiting for longer, and on a CPU gains little."""

    @field_validator("directory")
    @classmethod
    def _directory_is_there(cls, directory: Path | None) -> Path | None:
        if directory is not None and not directory.expanduser().is_dir():
            raise ValueError(f"{directory} is not a directory; name one that holds an encoder")
        return directory

    @model_validator(mode="after")
    def _precision_can_be_had(self) -> Self:
        if self.precision == "fp32":
            return self
        wanted = "cuda" if self.precision == "fp16" else "cpu"
        if self.directory is not None:
            raise ValueError(
                f"precision {self.precision} is for the embedded encoder, not for "
                f"{self.directory}; leave precision or directory out"
            )
        if self.provider not in ("auto", wanted):
            raise ValueError(
                f"precision {self.precision} runs on the provider {wanted}, not on "
                f"{self.provider}; leave precision or provider out"
            )
        return self


class CacheSettings(Section):
    """What is kept of texts that were encoded, by a digest: their vectors. Never the text."""

    bytes: int = Field(default=64 * 1024 * 1024, ge=0, le=2**40)
    """Most bytes of vectors of texts that came lately, which are not encoded again; the others go
    first. 0 keeps none."""


class MemorySettings(Section):
    """What is remembered of scored prompts. Never the text of a prompt or an answer."""

    capacity: Count = 100_000
    """Most samples of one pool, and most prompts with outcomes; the oldest go first."""
    time_to_live: Annotated[Seconds, Field(gt=0)] | None = None
    """Seconds after which a sample is forgotten, and a prompt with outcomes since its newest one;
    never if absent."""
    durability: Literal["process", "device"] = "process"
    """What a durable sample or outcome survives: a crash of the process, or of the machine
    (slower)."""
    create_pools: bool = True
    """Whether the first sample scored for an unknown pool, or its first outcome, creates it; else
    only an import does."""
    max_pools: int = Field(default=64, ge=1, le=10_000)
    """Most pools."""
    max_voters: int = Field(default=64, ge=1, le=256)
    """Most voters of one pool, and most models with outcomes."""
    queue: Count = 4096
    """Most samples and outcomes waiting to be written; beyond them, learning and recording are
    refused and say so."""


class LimitSettings(Section):
    """What is refused, so that one caller can't take the server from the others."""

    in_flight: Count = 256
    """Requests in work at a time; beyond them, RESOURCE_EXHAUSTED at once."""
    stream_in_flight: Count = 32
    """Items of one stream in work at a time; beyond them, the stream is read no further."""
    message_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=2**31 - 1)
    """Bytes of one gRPC message."""
    generations: int = Field(default=64, ge=1, le=1024)
    """Generations of one request."""
    text_bytes: Count = 256 * 1024
    """Bytes of UTF-8 of one prompt or generation."""
    dimension: int = Field(default=8192, ge=1, le=65_536)
    """Coordinates of one vector."""
    neighbours: int = Field(default=1000, ge=1, le=100_000)
    """Neighbours of one request."""
    candidates: int = Field(default=1024, ge=1, le=100_000)
    """Candidates of one request to route, and as many models denied."""


class MetricsSettings(Section):
    """What Prometheus can read."""

    listen: str | None = None
    """TCP address, `host:port`, where metrics are served over HTTP at `/metrics`, to whoever can
    reach it; port 0 takes a free one and logs it. None are served if absent."""

    @field_validator("listen")
    @classmethod
    def _listen_has_a_port(cls, address: str | None) -> str | None:
        return _with_port(address)


class EstimatorSettings(Section):
    """What a request gets that does not say."""

    neighbours: int = Field(default=20, ge=1, le=100_000)
    """Prompts that Local rests on, the current one included."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix="POINTSMAN_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
    )

    listen: str | None = None
    """TCP address, `host:port`; port 0 takes a free one and logs it. If absent, 127.0.0.1:50051
    where no socket is set, and no TCP where one is."""
    socket: HomePath | None = None
    """Path of a Unix socket; none if absent. At most 107 bytes."""
    socket_mode: str = Field(default="0660", pattern=r"^0?[0-7]{3}$")
    """Permissions of the Unix socket, in octal."""
    state: HomePath = Path("~/.local/state/pointsman")
    """Directory of the memory. One server at a time."""
    shutdown_grace: Seconds = 10.0
    """Seconds that requests in flight have to finish after SIGTERM."""
    shutdown_wait: Seconds = 0.0
    """Seconds between NOT_SERVING and refusing new requests, for balancers to notice."""
    reflection: bool = True
    """Offers gRPC server reflection."""
    log: LogSettings = LogSettings()
    encoder: EncoderSettings = EncoderSettings()
    cache: CacheSettings = CacheSettings()
    memory: MemorySettings = MemorySettings()
    limits: LimitSettings = LimitSettings()
    estimator: EstimatorSettings = EstimatorSettings()
    metrics: MetricsSettings = MetricsSettings()
    routers: dict[str, RouterSettings] = Field(
        default={_DEFAULT_ROUTER: SmoothieRouterSettings()}, min_length=1, max_length=64
    )
    """The routers by name, a section each; if absent, `default` routes without labels over the
    pool `default`."""
    default_router: str | None = None
    """Router of requests that name none; if absent, the only one, or the one named `default`."""
    watch_interval: Annotated[Seconds, Field(ge=0.01)] = 2.0
    """Seconds between two looks at the directories of routers. A change that has lasted from one
    look to the next is loaded."""

    @field_validator("socket_mode", mode="before")
    @classmethod
    def _octal_as_yaml_reads_it(cls, mode: object) -> object:
        return f"{mode:04o}" if isinstance(mode, int) else mode

    @field_validator("socket")
    @classmethod
    def _socket_path_fits(cls, path: Path | None) -> Path | None:
        if (
            path is not None
            and len(str(path.expanduser().absolute()).encode()) > _SOCKET_PATH_BYTES
        ):
            raise ValueError(
                f"is longer than {_SOCKET_PATH_BYTES} bytes, the most that a Unix socket's "
                "path may have; choose a shorter one"
            )
        return path

    @field_validator("routers")
    @classmethod
    def _routers_have_names(cls, routers: dict[str, RouterSettings]) -> dict[str, RouterSettings]:
        for name in routers:
            if not is_name(name):
                raise ValueError(f"the name {name[:128]!r} {NAME_RULE}")
        return routers

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.encoder.directory is None:
            _require_expandable("encoder.cache", self.encoder.cache)
        most = self.limits.neighbours
        asked = {"estimator": self.estimator.neighbours}
        for name, router in self.routers.items():
            if isinstance(router, PoolRouterSettings):
                asked[f"routers.{name}"] = router.neighbours
        for section, neighbours in asked.items():
            if neighbours > most:
                raise ValueError(
                    f"{section}.neighbours is {neighbours}, more than limits.neighbours, {most}; "
                    "lower it, or raise the limit"
                )
        if self.router_of_requests_without() not in self.routers:
            names = ", ".join(sorted(self.routers))
            raise ValueError(
                f"default_router is {self.default_router or 'absent'}, but the routers are "
                f"{names}; name one of them"
            )
        return self

    def router_of_requests_without(self) -> str:
        """Returns the name of the router that answers requests that name none."""
        if self.default_router is None and len(self.routers) == 1:
            return next(iter(self.routers))
        return self.default_router or _DEFAULT_ROUTER

    @field_validator("listen")
    @classmethod
    def _listen_has_a_port(cls, address: str | None) -> str | None:
        return _with_port(address)


def _require_expandable(name: str, path: Path) -> None:
    # Defaults of a section are not validated with it.
    try:
        expandable(path)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def load_settings(file: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Reads the settings from all their sources.

    Args:
        file: A YAML file, or None for none.
        flags: Values by dotted name, as in `{"memory.capacity": 1000}`. They win.

    Raises:
        SettingsError: A value is invalid or unknown; the message names the setting.
    """
    if file is not None:
        _require_mapping(file)

    class _Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  we read no .env file
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  nor secrets
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            yaml_settings = YamlConfigSettingsSource(settings_cls, yaml_file=file)
            return (init_settings, env_settings, yaml_settings)

    try:
        return _Sourced(**_nested(flags))
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None
    except PydanticSettingsError as error:
        raise SettingsError(f"{error}.") from None


def _require_mapping(file: Path) -> None:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {file} can't be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        detail = str(error).replace("\n", " ")
        raise SettingsError(f"The settings file {file} is not YAML: {detail}.") from None
    if not isinstance(content, dict | None):
        raise SettingsError(f"The settings file {file} must hold a mapping of settings.")


def _nested(flags: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flags.items():
        *sections, last = name.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingsError(f"{name}: {section} is a setting, not a section.")
        place[last] = value
    return nested


def _sentence(error: ValidationError) -> str:
    problems = []
    for each in error.errors(include_url=False):
        name = _name_of(each["loc"])
        message = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            message = "is not a setting; `pointsman config reference` lists them all"
        problems.append(f"{name}: {message}" if name else message)
    return "; ".join(problems) + "."


def _name_of(place: tuple[int | str, ...]) -> str:
    if place[:1] == ("routers",):
        # Between a router's name and its setting stands its kind.
        place = (*place[:2], *place[3:])
    return ".".join(str(part) for part in place)
