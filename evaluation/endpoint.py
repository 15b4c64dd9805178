"""An OpenAI-compatible endpoint, asked with patience."""

import http.client
import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from evaluation.errors import JudgeError

_PATH = "/chat/completions"
_PASSING = frozenset({408, 409, 425, 429})
_SERVERS_FAULT = 500
_LARGEST_REPLY = 1 << 20
_LONGEST_WAIT = 60.0


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: it would take the key elsewhere, and make a GET of the request."""

    def redirect_request(
        self,
        req: urllib.request.Request,  # noqa: ARG002 - the names are those of the base class
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Message,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay)


class _PassingError(Exception):
    """What another attempt may mend.

    Args:
        what: For a person, without anything of the request.
        wait: Seconds that the server asks for; 0 where it doesn't say.
    """

    def __init__(self, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where chat completions are asked for; threads may share it.

    Raises:
        JudgeError: The URL is not one of HTTP, the key does not fit a header, or a number is
            out of its range.
    """

    url: str
    """Such as http://127.0.0.1:8000/v1; /chat/completions is added where it doesn't end so."""
    key: str = field(default="", repr=False)
    """Sent as a bearer token; none if empty."""
    timeout: float = 60.0
    """Seconds that the server may be silent."""
    attempts: int = 5
    """At least 1."""
    patience: float = 1.0
    """Seconds before the second attempt; each next wait is about twice as long."""
    wait: Callable[[threading.Event, float], object] = field(
        default=threading.Event.wait, repr=False
    )
    """Waits for seconds, or until the event."""

    def __post_init__(self) -> None:
        if not _is_http(self.url):
            raise JudgeError(f"{self.url!r} is not a URL of HTTP; write http://host:port/v1.")
        # The error that a header would raise has the key in it.
        if not (self.key.isascii() and self.key.isprintable()):
            raise JudgeError(
                "The judge's key holds a line end, or another character that no header may have; "
                "give it without."
            )
        if self.timeout <= 0 or self.attempts < 1 or self.patience < 0:
            raise JudgeError("A judge needs a timeout above 0 and at least one attempt.")

    def complete(
        self, request: Mapping[str, object], given_up: threading.Event | None = None
    ) -> str:
        """Asks for a chat completion.

        Args:
            request: Its body, as JSON.
            given_up: Once it is set nothing more is asked, and no wait goes on.

        Returns:
            The text of the first choice; empty where it has none.

        Raises:
            JudgeError: The server refuses, doesn't answer in as many attempts, or is given up.
        """
        wait, ended = self.patience, given_up or threading.Event()
        for attempt in range(1, self.attempts + 1):
            if ended.is_set():
                raise JudgeError(f"The judge at {self._host} is given up; make another.")
            try:
                return self._once(request)
            except _PassingError as error:
                if attempt == self.attempts:
                    raise JudgeError(
                        f"The judge at {self._host} failed {attempt} times, at last with "
                        f"{error}; look at its server, or be more patient."
                    ) from None
                # Spread, so that those who were refused together don't come back together.
                spread = wait * random.uniform(0.5, 1.5)
                self.wait(ended, min(max(spread, error.wait), _LONGEST_WAIT))
                wait *= 2
        raise AssertionError

    @property
    def _host(self) -> str:
        """Without what a URL may have of names and keys."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def _once(self, request: Mapping[str, object]) -> str:
        try:
            with _OPENER.open(self._prepared(request), timeout=self.timeout) as reply:
                return _text_of(reply.read(_LARGEST_REPLY))
        except urllib.error.HTTPError as error:
            status = f"HTTP status {error.code}"
            wait = _wanted_wait(error.headers.get("Retry-After", ""))
            error.close()
            if error.code in _PASSING or error.code >= _SERVERS_FAULT:
                raise _PassingError(status, wait) from None
            raise JudgeError(
                f"The judge at {self._host} refuses with {status}: check its URL, model and key."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            cause = reason if isinstance(reason, Exception) else error
            raise _PassingError(type(cause).__name__) from None

    def _prepared(self, request: Mapping[str, object]) -> urllib.request.Request:
        url = self.url.rstrip("/")
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return urllib.request.Request(  # noqa: S310 - the scheme is checked
            url if url.endswith(_PATH) else url + _PATH,
            data=json.dumps(request).encode(),
            headers=headers,
            method="POST",
        )


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url
        http = parts.scheme in ("http", "https")
        return plain and http and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _text_of(body: bytes) -> str:
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise _PassingError("a reply that is no chat completion") from None
    return content if isinstance(content, str) else ""


def _wanted_wait(header: str) -> float:
    """Seconds of a Retry-After; 0 where it is absent, or a date."""
    try:
        return max(0.0, float(header))
    except ValueError:
        return 0.0
