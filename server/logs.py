"""Structured logs: one JSON object a line, with the request id, without the text of a prompt."""

import logging
import sys
import traceback
from contextlib import suppress
from typing import TextIO, cast

import structlog

from server.settings import LogSettings


class _Unbreakable:
    """Standard error, except that a reader who has gone must not fail a call."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure_logs(settings: LogSettings) -> None:
    """Sends our own log lines and those of the libraries to standard error, in one form."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[*_SHARED, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unbreakable())),
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
