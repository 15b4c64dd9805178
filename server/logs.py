"""Structured logs: one JSON object a line, with the request id, without the text of a prompt."""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO, cast

import orjson
import structlog

from server import calls
from server.settings import LogSettings


class _Unbreakable:
    """Standard error, except that a reader who has gone must not fail a call."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def _add_call(
    _logger: object, _name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Says which call a line is about."""
    call = calls.current()
    if call is not None:
        event["request_id"], event["method"] = call.request_id, call.method
    return event


def _add_time(
    _logger: object, _name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Says when a line was written, where it does not say so itself."""
    if "timestamp" not in event:
        event["timestamp"] = instant(time.time())
    return event


def instant(at: float) -> str:
    """Writes unix seconds as a line has them, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _as_json(event: object, default: Callable[[object], object]) -> str:
    try:
        return orjson.dumps(event, default=default).decode()
    except TypeError:  # half of a surrogate pair, as in a file's name, or a number beyond 64 bits
        return json.dumps(event, default=default)


_SHARED: list[structlog.types.Processor] = [
    _add_call,
    structlog.stdlib.add_log_level,
    _add_time,
    structlog.processors.format_exc_info,
]


def configure_logs(settings: LogSettings) -> None:
    """Sends our own log lines and those of the libraries to standard error, in one form."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(serializer=_as_json)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[*_SHARED, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unbreakable())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Unbreakable())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def place_of(error: BaseException) -> str:
    """Says where an error arose; its own text stays out, for it may quote a prompt."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return f"{type(error).__name__} at " + " > ".join(places)
