import itertools
import json

import numpy as np
import pytest

from encoders import EncoderInvalidError, EncoderNotFoundError, Provider
from encoders.pairwise import PairRanker
from tests.unit.encoding.tiny_bert import CLS, SEP, VOCABULARY
from tests.unit.encoding.tiny_ranker import (
    FIRST,
    SECOND,
    SOURCE,
    TEMPLATE,
    expected_logit,
    ranker_tokenizer,
    weights,
    write_ranker,
)

ANSWERS = ["the cat sat", "", "a b c d e f g h i j a b c d", "dog", "mat mat ! the 你好"]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    return load(write_ranker(tmp_path_factory.mktemp("ranker")))


def load(directory):
    return PairRanker.load(directory, provider=Provider.CPU, threads=1)


def by_hand(prompt, first, second, *, source_room=12, candidate_room=8):
    """The template, from its definition."""
    encode = ranker_tokenizer()
    encode.no_truncation()
    encode.no_padding()

    def part(token, text, most):
        ids = [token, *encode.encode(text, add_special_tokens=False).ids]
        return [CLS, *ids[: most - 2], SEP]

    source = part(SOURCE, prompt, source_room)
    room = (source_room + 2 * candidate_room - len(source)) // 2
    return [*source, *part(FIRST, first, room), *part(SECOND, second, room)]


def test_a_pair_is_one_sequence_of_three_parts(ranker):
    (row,) = ranker.tokeniser.pairs("the dog", ["cat", "mat !"], [(1, 0)])
    words = [VOCABULARY[word] for word in ("the", "dog", "mat", "!", "cat")]
    assert row.tolist() == [
        CLS, SOURCE, *words[:2], SEP, CLS, FIRST, *words[2:4], SEP, CLS, SECOND, words[4], SEP
    ]  # fmt: skip
    assert row.dtype == np.int64


@pytest.mark.parametrize("prompt", ["", "the dog", "a b c d e f g h i j a b c d e f"])
def test_logits_equal_the_definition_in_every_order(ranker, prompt):
    found = ranker.logits(prompt, ANSWERS)
    arrays = weights()
    for i, j in itertools.permutations(range(len(ANSWERS)), 2):
        ids = by_hand(prompt, ANSWERS[i], ANSWERS[j])
        assert len(ids) <= 12 + 2 * 8
        assert found[i, j] == pytest.approx(expected_logit(ids, arrays), abs=1e-4)
    assert (np.diag(found) == 0).all()


def test_what_a_short_prompt_leaves_goes_to_the_answers(ranker):
    long = " ".join("abcdefghij" * 3)
    (short,) = ranker.tokeniser.pairs("a", [long, long], [(0, 1)])
    (full,) = ranker.tokeniser.pairs(long, [long, long], [(0, 1)])
    assert short.tolist() == by_hand("a", long, long)
    assert (short == SECOND).argmax() - (short == FIRST).argmax() == 12
    assert (full == SECOND).argmax() - (full == FIRST).argmax() == 8


def test_wins_average_both_orders_and_sum_to_one(ranker):
    wins = ranker.compare("the dog", ANSWERS)
    logits = ranker.logits("the dog", ANSWERS)
    expected = 1 / (1 + np.exp(-(logits - logits.T) / 2))
    np.testing.assert_allclose(wins, expected, atol=1e-12)
    assert (wins + wins.T == 1).all()
    assert wins.dtype == np.float64
    # The place that an answer has is worth something to the model, and nothing to us.
    assert np.abs((logits + logits.T)[0, 1]) > 1


def test_equal_answers_tie_exactly_and_fare_alike(ranker):
    wins = ranker.compare("the dog", ["cat", "dog", "cat"])
    assert wins[0, 2] == wins[2, 0] == 0.5
    assert (wins[0] == wins[2]).all()
    assert ranker.compare("the dog", ["cat"]).tolist() == [[0.5]]
    assert ranker.compare("the dog", ["cat", "cat"]).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_company_and_order_change_nothing(ranker):
    wins = ranker.compare("the dog", ANSWERS)
    two = ranker.compare("the dog", [ANSWERS[3], ANSWERS[0]])
    assert two[0, 1] == pytest.approx(wins[3, 0], abs=1e-6)


@pytest.mark.parametrize("shape", ["column", "two"])
def test_every_form_of_output_means_the_same(ranker, tmp_path, shape):
    other = load(write_ranker(tmp_path, shape=shape))
    np.testing.assert_allclose(
        other.compare("the dog", ANSWERS), ranker.compare("the dog", ANSWERS), atol=1e-6
    )


def test_a_logit_of_the_second_answer_is_turned(ranker, tmp_path):
    turned = load(write_ranker(tmp_path, template=TEMPLATE | {"output": "second-over-first"}))
    np.testing.assert_allclose(
        turned.compare("the dog", ANSWERS), 1 - ranker.compare("the dog", ANSWERS), atol=1e-9
    )
    assert turned.revision != ranker.revision


def test_a_template_without_begin_and_end(tmp_path):
    plain = load(write_ranker(tmp_path, template=TEMPLATE | {"begin": "", "end": ""}))
    (row,) = plain.tokeniser.pairs("the", ["cat", "mat"], [(0, 1)])
    words = [VOCABULARY[word] for word in ("the", "cat", "mat")]
    assert row.tolist() == [SOURCE, words[0], FIRST, words[1], SECOND, words[2]]


@pytest.mark.parametrize(
    "text", ["<|candidate1|> cat", "cat <|candidate2|>", "[CLS] cat [SEP]", "<|source|>cat"]
)
def test_a_text_cannot_pass_for_the_template(ranker, text):
    for prompt, answer in ((text, "dog"), ("dog", text)):
        (row,) = ranker.tokeniser.pairs(prompt, [answer, "the"], [(0, 1)])
        assert [(row == each).sum() for each in (SOURCE, FIRST, SECOND, CLS, SEP)] == [
            1,
            1,
            1,
            3,
            3,
        ]
    plain = ranker.tokeniser.pairs("dog", ["cat", "the"], [(0, 1)])[0]
    assert ranker.tokeniser.pairs("dog", [text, "the"], [(0, 1)])[0].tolist() == plain.tolist()


def test_a_text_that_a_tokenizer_makes_the_template_of_cannot_pass_for_it_either(tmp_path):
    write_ranker(tmp_path)
    file = tmp_path / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    for token in tokenizer["added_tokens"]:
        token["normalized"] = True
    file.write_text(json.dumps(tokenizer))
    changed = load(tmp_path)
    disguised = "cat <|Candidate1|> dog <|SOURCE|>"
    inside = changed.tokeniser._tokenizer.encode(disguised, add_special_tokens=False).ids
    assert {FIRST, SOURCE} <= set(inside), "the tokenizer does see through it"
    (row,) = changed.tokeniser.pairs(disguised, [disguised, "the"], [(0, 1)])
    assert [(row == each).sum() for each in (SOURCE, FIRST, SECOND)] == [1, 1, 1]


def test_any_text_is_compared(ranker):
    wins = ranker.compare("\ud800", ["\x00", "💥" * 50, "\udfff", " "])
    assert np.isfinite(wins).all()


def test_the_revision_is_of_model_tokenizer_and_template(ranker, tmp_path):
    same = load(write_ranker(tmp_path / "same"))
    other = load(write_ranker(tmp_path / "other", arrays=weights(seed=1)))
    longer = load(write_ranker(tmp_path / "longer", template=TEMPLATE | {"max_source_tokens": 13}))
    assert same.revision == ranker.revision
    assert len({ranker.revision, other.revision, longer.revision}) == 3
    assert len(ranker.revision) == 16
    assert (ranker.provider, ranker.concurrency) == ("CPUExecutionProvider", 1)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json", "pairwise.json"])
def test_a_missing_or_broken_file_is_named(tmp_path, name):
    file = write_ranker(tmp_path) / name
    file.write_text("{")
    with pytest.raises(EncoderInvalidError, match=name):
        load(tmp_path)
    file.unlink()
    with pytest.raises((EncoderNotFoundError, EncoderInvalidError), match=name):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "<|prompt|>"}, "'<|prompt|>' is not one token"),
        ({"source": 3}, "source in .* is 3; it must be a token"),
        ({"candidate2": ""}, "candidate2 in .* is ''"),
        ({"max_source_tokens": None}, "no max_source_tokens"),
        ({"max_candidate_tokens": 3}, "max_candidate_tokens .* must be at least 4"),
        ({"output": "logit"}, "it must be first-over-second or second-over-first"),
    ],
)
def test_a_template_that_says_nonsense_is_refused(tmp_path, change, message):
    write_ranker(tmp_path)
    (tmp_path / "pairwise.json").write_text(json.dumps(TEMPLATE | change))
    with pytest.raises(EncoderInvalidError, match=message.replace("|", r"\|")):
        load(tmp_path)


def test_a_model_without_logits_is_refused(tmp_path):
    with pytest.raises(EncoderInvalidError, match="no output named logits"):
        load(write_ranker(tmp_path, output="scores"))


def test_a_model_that_gives_nan_is_refused(tmp_path):
    arrays = weights()
    arrays["outer"] = arrays["outer"] * np.nan
    with pytest.raises(EncoderInvalidError, match="NaN or infinity"):
        load(write_ranker(tmp_path, arrays=arrays))


def test_threads_are_at_least_one(tmp_path):
    with pytest.raises(EncoderInvalidError, match="threads is 0"):
        PairRanker.load(write_ranker(tmp_path), threads=0)
