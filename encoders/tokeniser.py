"""From text to token ids, cut at the length that the encoder reads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from encoders.errors import EncoderInvalidError

_SURROGATE = re.compile("[\ud800-\udfff]")
CHARACTERS_PER_TOKEN = 16
"""A text is first cut at this many characters for each token of `max_tokens`."""
_BLANKS = " \t\n\r"
_FIRST_IDEOGRAPH, _LAST_IDEOGRAPH = "\u4e00", "\u9fff"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text as the encoder reads it."""

    ids: NDArray[np.int64]
    """(t,) token ids, special ones included; at most the encoder's `max_tokens`."""
    truncated: bool
    """The text was longer; the rest was not seen."""


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which has no UTF-8 form."""
    return _SURROGATE.sub(_REPLACEMENT, text)


class Tokeniser:
    """A `tokenizer.json` with a fixed length to cut at; threads may share it."""

    def __init__(self, tokenizer: Tokenizer, *, enough: int | None, lowercase: bool) -> None:
        """Wraps a tokenizer with truncation set.

        Args:
            tokenizer: Threads share it; nobody may change it.
            enough: Characters that usually fill the encoder, where a text may be
                cut at a blank and still begin with the same tokens; else None.
            lowercase: Texts are lower-cased first.
        """
        self._tokenizer = tokenizer
        self._enough = enough
        self._lowercase = lowercase

    @classmethod
    def load(cls, path: Path, *, max_tokens: int, lowercase: bool = False) -> Self:
        """Loads a `tokenizer.json`; its own truncation and padding are set aside.

        Raises:
            EncoderInvalidError: The file is no tokenizer, or max_tokens leaves no
                room for a token of the text.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise EncoderInvalidError(f"{path} is not a tokenizer; fetch it again") from error
        special = tokenizer.num_special_tokens_to_add(is_pair=False)
        if max_tokens <= special:
            message = f"max_tokens is {max_tokens}; it must be more than the {special} special ones"
            raise EncoderInvalidError(message, field="max_tokens")
        tokenizer.no_padding()
        # Set once, here: setting it later would race with other threads.
        tokenizer.enable_truncation(max_length=max_tokens)
        enough = CHARACTERS_PER_TOKEN * max_tokens if _splits_at_blanks(tokenizer) else None
        return cls(tokenizer, enough=enough, lowercase=lowercase)

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenises texts, in their order.

        An empty text has only the special tokens. A lone surrogate, which has no
        UTF-8 form, is read as U+FFFD.
        """
        clean = [self._clean(text) for text in texts]
        heads = [self._head(text) for text in clean]
        found = [_to_tokens(one) for one in self._tokenizer.encode_batch_fast(heads)]
        for index, (text, head) in enumerate(zip(clean, heads, strict=True)):
            if len(head) < len(text) and not found[index].truncated:
                found[index] = _to_tokens(self._tokenizer.encode_batch_fast([text])[0])
        return found

    def _head(self, text: str) -> str:
        """As much of a long text as the encoder can see; the rest is not worth splitting."""
        if self._enough is None or len(text) <= self._enough:
            return text
        end = max(text.rfind(blank, 0, self._enough) for blank in _BLANKS)
        if end <= 0:
            # Each ideograph is a word of its own, so a text may be cut before any of them.
            end = next((at for at in range(self._enough, 0, -1) if _is_ideograph(text[at])), 0)
        return text[:end] if end > 0 else text

    def _clean(self, text: str) -> str:
        whole = without_surrogates(text)
        return whole.lower() if self._lowercase else whole


def _is_ideograph(character: str) -> bool:
    return _FIRST_IDEOGRAPH <= character <= _LAST_IDEOGRAPH


def _to_tokens(encoding: Encoding) -> Tokens:
    return Tokens(np.array(encoding.ids, dtype=np.int64), bool(encoding.overflowing))


def _splits_at_blanks(tokenizer: Tokenizer) -> bool:
    """Whether no token reaches over a blank or an ideograph, whatever follows it.

    True of BERT's own normaliser and splitter; of others it is not known.
    """
    bert = (
        isinstance(tokenizer.normalizer, BertNormalizer)
        and tokenizer.normalizer.handle_chinese_chars
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
    )
    added = tokenizer.get_added_tokens_decoder().values()
    return bert and not any(
        one in _BLANKS or _is_ideograph(one) for token in added for one in token.content
    )
