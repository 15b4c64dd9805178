"""How fast one thread works through the backlog."""

import time

from server.backlog import Backlog

# Less says how long a run takes, however short, rather than a token.
_ENOUGH_TOKENS = 256


class Pace:
    """Measures by stretches of some hundred tokens, what lies between runs included.

    Args:
        backlog: Is told.
    """

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self.start()

    def start(self) -> None:
        """Begins a stretch."""
        self._since = time.perf_counter()
        self._tokens = 0

    def add(self, tokens: int) -> None:
        """Notes tokens that were encoded."""
        self._tokens += tokens
        if self._tokens >= _ENOUGH_TOKENS:
            self.end()
            self.start()

    def end(self) -> None:
        """Ends a stretch, as where there is nothing left to do."""
        if self._tokens:
            self._backlog.measured(self._tokens, time.perf_counter() - self._since)
            self._tokens = 0
