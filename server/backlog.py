"""How much is waiting for the encoder, and how long it will take."""

import threading
from collections.abc import Sequence

from server.errors import OverloadedError

# Of a newly measured stretch of so many tokens in the mean; the last dozen of them count. A shorter
# one, as of texts that come one by one, says more of a run than of a token, and counts for less.
_SHARE = 0.1
_STRETCH_TOKENS = 256
# What is promised holds though runs take longer than they did, and shorter texts come first. A
# queue of half the time that callers have is long enough to keep the encoder busy.
_MARGIN = 2.0
_SLACK_SECONDS = 0.01
_LEAST_RETRY_SECONDS = 0.05


class Backlog:
    """Counts tokens that were taken in and have no vector yet, and measures how fast they go.

    Threads share it.

    Args:
        workers: Runs at a time.
    """

    def __init__(self, workers: int = 1) -> None:
        self._lock = threading.Lock()
        self._workers = workers
        self._seconds_per_token = 0.0
        self.tokens = 0
        self.refused = 0

    def add(self, tokens: int) -> None:
        """Takes tokens in; fewer than none takes them out again."""
        with self._lock:
            self.tokens += tokens

    def measured(self, tokens: int, seconds: float) -> None:
        """Notes what a stretch of work took, what lies between its runs included."""
        with self._lock:
            each = seconds / max(tokens, 1)
            weight = min(1.0, tokens / _STRETCH_TOKENS)
            share = _SHARE * weight if self._seconds_per_token else 1.0
            self._seconds_per_token += share * (each - self._seconds_per_token)

    def seconds(self, lengths: Sequence[int] = ()) -> float:
        """Returns how long it takes until what waits, and some texts more, have vectors.

        Args:
            lengths: Of these texts, in tokens. Several may be in work at a time, but one is in
                one run.
        """
        with self._lock:
            own = max(sum(lengths) / self._workers, max(lengths, default=0))
            return (self.tokens / self._workers + own) * self._seconds_per_token

    def require_time(self, lengths: Sequence[int], seconds_left: float | None) -> None:
        """Refuses what could not be done before its caller has gone.

        Args:
            lengths: Of each text of the request, about, in tokens.
            seconds_left: That the caller waits; None for ever.

        Raises:
            OverloadedError: What waits already takes too long.
        """
        if seconds_left is None:
            return
        needed = _MARGIN * self.seconds(lengths) + _SLACK_SECONDS
        if self.tokens and needed > seconds_left:
            self.refused += 1
            raise OverloadedError(
                f"The encoder is busy for about {needed:.2g} s with what came before, longer than "
                "the request's deadline allows; call again after the delay, or allow more time.",
                retry_after=max(_LEAST_RETRY_SECONDS, needed - seconds_left),
            )
