from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from encoders import EncoderInvalidError
from encoders.tokeniser import CHARACTERS_PER_TOKEN, Tokeniser, without_surrogates
from tests.unit.encoding.tiny_bert import CLS, SEP, VOCABULARY, tiny_tokenizer

LIMIT = 6


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    return path


@pytest.fixture(scope="module")
def tokeniser(path):
    return Tokeniser.load(path, max_tokens=LIMIT)


def ids_of(*words):
    return [CLS, *(VOCABULARY[word] for word in words), SEP]


def test_ids_are_int64_with_special_tokens_and_no_padding(tokeniser):
    (tokens,) = tokeniser.tokenise(["The cats"])
    assert tokens.ids.dtype == np.int64
    assert tokens.ids.tolist() == ids_of("the", "cat", "##s")
    assert not tokens.truncated


def test_the_limit_counts_special_tokens(tokeniser):
    whole, cut = tokeniser.tokenise(["a b c d", "a b c d e"])
    assert whole.ids.tolist() == cut.ids.tolist() == ids_of(*"abcd")
    assert (whole.truncated, cut.truncated) == (False, True)


def test_no_texts_and_the_empty_text(tokeniser):
    assert tokeniser.tokenise([]) == []
    assert tokeniser.tokenise([""])[0].ids.tolist() == [CLS, SEP]


def test_a_lone_surrogate_is_read_as_the_replacement_character(tokeniser):
    lone, replaced = tokeniser.tokenise(["a \ud800 b", "a \ufffd b"])
    assert lone.ids.tolist() == replaced.ids.tolist()


@given(st.text(st.characters() | st.characters(categories=["Cs"])))
def test_only_lone_surrogates_are_replaced(text):
    whole = without_surrogates(text)
    expected = ["\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text]
    assert list(whole.encode().decode()) == expected


def test_lower_case_where_the_tokenizer_keeps_case(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.normalizer = None
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    kept = Tokeniser.load(tmp_path / "tokenizer.json", max_tokens=LIMIT)
    lowered = Tokeniser.load(tmp_path / "tokenizer.json", max_tokens=LIMIT, lowercase=True)
    assert kept.tokenise(["CAT"])[0].ids.tolist() == ids_of("[UNK]")
    assert lowered.tokenise(["CAT"])[0].ids.tolist() == ids_of("cat")


pieces = st.sampled_from(
    ["cat", "sat", "dogs", "你好", "zz", "!", " ", "\n", "é", "e\u0301", "[SEP]"]
)


@example("a" + " " * 200 + "b c d e f")  # the head alone does not fill the encoder
@example("!!!cat" + "s" * 200)  # no blank to cut at, and a cut word has other tokens
@example("你好" * 300)
@example("cat" + "你" * 94 + "zz!" * 50)
@given(st.lists(pieces, max_size=400).map("".join))
def test_a_long_text_has_the_tokens_of_its_whole(tokeniser, text):
    plain = tiny_tokenizer()
    plain.no_padding()
    plain.enable_truncation(LIMIT)
    whole = plain.encode(text)
    (tokens,) = tokeniser.tokenise([text])
    assert tokens.ids.tolist() == whole.ids
    assert tokens.truncated == bool(whole.overflowing)


@pytest.mark.parametrize("text", ["cat " * 1000, "你好" * 1000])
def test_only_the_head_of_a_long_text_is_split(tokeniser, monkeypatch, text):
    seen = []
    inner = tokeniser._tokenizer

    class Spy:
        def encode_batch_fast(self, texts):
            seen.extend(texts)
            return inner.encode_batch_fast(texts)

    monkeypatch.setattr(tokeniser, "_tokenizer", Spy())
    assert tokeniser.tokenise([text])[0].truncated
    assert max(map(len, seen)) <= LIMIT * CHARACTERS_PER_TOKEN


def test_a_tokenizer_that_may_look_past_a_blank_gets_the_whole(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"{'a ' * 40}b"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = f"d {'a ' * 40}b"
    limit = len(text) // CHARACTERS_PER_TOKEN
    (tokens,) = Tokeniser.load(tmp_path / "tokenizer.json", max_tokens=limit).tokenise([text])
    long = tokenizer.token_to_id(f"{'a ' * 40}b")
    assert tokens.ids.tolist() == [CLS, VOCABULARY["d"], long, SEP]


def test_many_threads_may_share_it(tokeniser):
    texts = [" ".join("abcdefghij"[: length % 9]) for length in range(200)]
    expected = [tokens.ids.tolist() for tokens in tokeniser.tokenise(texts)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda text: tokeniser.tokenise([text])[0], texts))
    assert [tokens.ids.tolist() for tokens in found] == expected
    assert [tokens.truncated for tokens in found] == [length % 9 > 4 for length in range(200)]


@pytest.mark.parametrize("limit", [0, 2])
def test_a_limit_with_no_room_is_refused(path, limit):
    with pytest.raises(EncoderInvalidError, match="must be more than the 2 special") as caught:
        Tokeniser.load(path, max_tokens=limit)
    assert caught.value.field == "max_tokens"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe"])
def test_a_broken_file_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(EncoderInvalidError, match=r"tokenizer\.json is not a tokenizer"):
        Tokeniser.load(tmp_path / "tokenizer.json", max_tokens=LIMIT)
