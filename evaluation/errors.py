"""What can go wrong with a data set, as one tree of exceptions."""

from typing import ClassVar


class EvaluationError(Exception):
    """Root of every error that `evaluation` raises on purpose.

    The message is one sentence for a person: what is wrong and what to do.
    """

    reason: ClassVar[str] = "EVALUATION"


class UnreadableDataError(EvaluationError):
    """A file of a data set can't be read, or a row of it is not what it should be."""

    reason = "UNREADABLE_DATA"


class MissingExtraError(EvaluationError):
    """Something needs an optional dependency that is not installed."""

    reason = "MISSING_EXTRA"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra `{extra}`; install it, as with `pip install '.[{extra}]'`."
        )


class JudgeError(EvaluationError):
    """A large language model that judges can't be asked, or refuses."""

    reason = "JUDGE"
