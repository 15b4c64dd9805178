"""How a prompt and two answers become one sequence of tokens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from encoders.errors import EncoderInvalidError, EncoderNotFoundError
from encoders.files import read_object, whole_number
from encoders.tokeniser import without_surrogates

_OUTPUTS = {"first-over-second": False, "second-over-first": True}


@dataclass(frozen=True, slots=True)
class Template:
    """What `pairwise.json` says."""

    source: str
    """The token that the prompt begins with; so do the next two."""
    first: str
    second: str
    begin: str
    """The token before each of the three parts; none if empty."""
    end: str
    """The token after each part; none if empty."""
    max_source_tokens: int
    """Of the prompt, special ones included."""
    max_candidate_tokens: int
    """Of each answer; what the prompt leaves of its own is shared between the two."""
    second_over_first: bool = False
    """The logit is that of the second answer being better."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a `pairwise.json`.

        Raises:
            EncoderNotFoundError: It can't be read.
            EncoderInvalidError: It lacks a member, or one is not what it should be.
        """
        values = read_object(path)
        output = values.get("output", "first-over-second")
        if output not in _OUTPUTS:
            wanted = " or ".join(_OUTPUTS)
            raise EncoderInvalidError(f"output in {path} is {output!r}; it must be {wanted}")
        return cls(
            source=_token(values, "source", path),
            first=_token(values, "candidate1", path),
            second=_token(values, "candidate2", path),
            begin=_token(values, "begin", path, optional=True),
            end=_token(values, "end", path, optional=True),
            max_source_tokens=_count(values, "max_source_tokens", path),
            max_candidate_tokens=_count(values, "max_candidate_tokens", path),
            second_over_first=_OUTPUTS[str(output)],
        )

    @property
    def tokens(self) -> tuple[str, ...]:
        """All special tokens that it uses."""
        five = (self.source, self.first, self.second, self.begin, self.end)
        return tuple(token for token in five if token)

    @property
    def total(self) -> int:
        """Most tokens of a sequence."""
        return self.max_source_tokens + 2 * self.max_candidate_tokens


class PairTokeniser:
    """A `tokenizer.json` and a template; threads may share it."""

    def __init__(self, tokenizer: Tokenizer, template: Template) -> None:
        """Wraps a tokenizer that neither cuts nor pads; nobody may change it."""
        self._tokenizer = tokenizer
        self._template = template
        self._special = re.compile("|".join(map(re.escape, template.tokens)))
        self._special_ids = frozenset(map(tokenizer.token_to_id, template.tokens))

    @classmethod
    def load(cls, path: Path, template: Template) -> Self:
        """Loads a `tokenizer.json`.

        Raises:
            EncoderNotFoundError: There is none.
            EncoderInvalidError: It is not a tokenizer, or a token of the template is not
                one token of it.
        """
        if not path.is_file():
            raise EncoderNotFoundError(f"{path} is missing; give the directory of a ranker")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise EncoderInvalidError(f"{path} is not a tokenizer; fetch it again") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        for token in template.tokens:
            ids = tokenizer.encode(token, add_special_tokens=False).ids
            if ids != [tokenizer.token_to_id(token)]:
                message = f"{token!r} is not one token of {path}; the files are of two rankers"
                raise EncoderInvalidError(message)
        return cls(tokenizer, template)

    def pairs(
        self, prompt: str, answers: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> list[NDArray[np.int64]]:
        """Makes a sequence for each pair of answers.

        A special token that stands in a text is read as a blank, one that the tokenizer
        makes of other characters is left out, and a lone surrogate is read as U+FFFD. A part
        that is too long is cut at its end.

        Args:
            prompt: What was asked.
            answers: All answers.
            pairs: Places of the first and of the second answer.

        Returns:
            Token ids (t,), one array per pair.
        """
        template = self._template
        source = self._part(template.source, prompt, template.max_source_tokens)
        room = (template.total - len(source)) // 2
        first, second = (
            [self._part(token, answer, room) for answer in answers]
            for token in (template.first, template.second)
        )
        return [np.array(source + first[i] + second[j], dtype=np.int64) for i, j in pairs]

    def _part(self, token: str, text: str, most: int) -> list[int]:
        clean = without_surrogates(self._special.sub(" ", text))
        before, after = self._ids(self._template.begin), self._ids(self._template.end)
        # The token and the text together, since a tokenizer may treat what follows a token apart.
        first, *rest = self._tokenizer.encode(token + clean, add_special_tokens=False).ids
        # Some tokenizers look for special tokens in what is left of case, accents and widths.
        ids = [first, *(each for each in rest if each not in self._special_ids)]
        return before + ids[: most - len(before) - len(after)] + after

    def _ids(self, token: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(token, add_special_tokens=False).ids
        return ids


def _token(values: dict[str, object], key: str, path: Path, *, optional: bool = False) -> str:
    value = values.get(key, "" if optional else None)
    if not isinstance(value, str) or not (value or optional):
        raise EncoderInvalidError(f"{key} in {path} is {value!r}; it must be a token")
    return value


def _count(values: dict[str, object], key: str, path: Path) -> int:
    # Room for the special tokens and one of the text.
    value = whole_number(values, key, path, least=4)
    if value is None:
        raise EncoderInvalidError(f"{path} has no {key}; say how many tokens are read")
    return value
