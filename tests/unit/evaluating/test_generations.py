import json

import pytest

from evaluation.errors import UnreadableDataError
from evaluation.generations import (
    ALPACA_EVAL,
    Ensemble,
    FieldMapping,
    Generation,
    read_generations,
    select,
    voters_of,
)


@pytest.fixture
def write(tmp_path):
    def write_file(*records, name="data.jsonl"):
        file = tmp_path / name
        file.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
        return file

    return write_file


def ensemble(prompt, *pairs):
    return Ensemble(prompt, tuple(Generation(voter, text) for voter, text in pairs))


def problem_of(file, fields=None):
    (row,) = read_generations([file], fields).bad_rows
    return row.problem


def test_wide_records_with_a_list(write):
    answers = [{"voter": "a", "text": "x"}, {"voter": "b", "text": ""}]
    reading = read_generations([write({"prompt": "p", "generations": answers})])
    assert reading.ensembles == (ensemble("p", ("a", "x"), ("b", "")),)
    assert reading.bad_rows == ()


def test_wide_records_with_an_object_of_texts_lists_and_nulls(write):
    answers = {"a": "x", "b": ["y", "z"], "c": None}
    reading = read_generations([write({"prompt": "p", "generations": answers})])
    assert reading.ensembles == (ensemble("p", ("a", "x"), ("b", "y"), ("b", "z")),)


def test_wide_records_of_one_prompt_stay_apart(write):
    record = {"prompt": "p", "generations": {"a": "x"}}
    assert len(read_generations([write(record, record)]).ensembles) == 2


def test_long_records_are_grouped_over_files_in_order_of_first_appearance(write):
    one = write(
        {"prompt": "q", "voter": "a", "text": "1"},
        {"prompt": "p", "voter": "a", "text": "2"},
        name="one",
    )
    other = write(
        {"prompt": "p", "voter": "b", "text": "3"},
        {"prompt": "p", "voter": "a", "text": "4"},
        name="other",
    )
    assert read_generations([one, other]).ensembles == (
        ensemble("q", ("a", "1")),
        ensemble("p", ("a", "2"), ("b", "3"), ("a", "4")),
    )


def test_both_shapes_in_one_file(write):
    file = write(
        {"prompt": "p", "generations": {"a": "x"}}, {"prompt": "q", "voter": "a", "text": "y"}
    )
    assert [each.prompt for each in read_generations([file]).ensembles] == ["p", "q"]


def test_dotted_fields_go_through_objects_and_lists(write):
    fields = FieldMapping("turns.0.content", "out.all", "meta.model", "reply.text")
    answer = {"meta": {"model": "a"}, "reply": {"text": "x"}}
    file = write(
        {"turns": [{"content": "p"}], "out": {"all": [answer]}},
        {"turns": [{"content": "q"}], **answer},
    )
    assert read_generations([file], fields).ensembles == (
        ensemble("p", ("a", "x")),
        ensemble("q", ("a", "x")),
    )


def test_a_member_whose_name_has_dots_wins(write):
    file = write({"a.b": "p", "a": {"b": "q"}, "voter": "v", "text": "x"})
    (read,) = read_generations([file], FieldMapping(prompt="a.b")).ensembles
    assert read.prompt == "p"


def test_a_list_beside_its_end_has_no_such_field(write):
    file = write({"turns": ["p"], "voter": "v", "text": "x"})
    assert problem_of(file, FieldMapping(prompt="turns.1")) == "has no turns.1"


def test_alpaca_eval_files_need_only_the_mapping(tmp_path):
    record = {"dataset": "d", "instruction": "p", "output": "x", "generator": "m"}
    file = tmp_path / "model_outputs.json"
    file.write_text(json.dumps([record], indent=0))
    assert read_generations([file], ALPACA_EVAL).ensembles == (ensemble("p", ("m", "x")),)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("p", "is not a JSON object"),
        ({"voter": "a", "text": "x"}, "has no prompt"),
        ({"prompt": 7, "voter": "a", "text": "x"}, "has prompt that is not a string"),
        ({"prompt": " ", "voter": "a", "text": "x"}, "has an empty prompt"),
        ({"prompt": "p", "text": "x"}, "has no voter"),
        ({"prompt": "p", "voter": "a"}, "has no text"),
        ({"prompt": "p", "voter": "", "text": "x"}, "has an empty voter"),
        ({"prompt": "p", "voter": "a", "text": None}, "has text that is not a string"),
        (
            {"prompt": "p"},
            "has neither generations nor voter and text; name the fields that it has",
        ),
        ({"prompt": "p", "generations": []}, "has no answers in generations"),
        ({"prompt": "p", "generations": {"a": None}}, "has no answers in generations"),
        (
            {"prompt": "p", "generations": "x"},
            "has generations that are neither a list nor an object",
        ),
        ({"prompt": "p", "generations": ["x"]}, "has no voter"),
        ({"prompt": "p", "generations": {"": "x"}}, "has an empty voter in generations"),
        (
            {"prompt": "p", "generations": {"a": [1]}},
            "has generations.a that is not a string",
        ),
        (
            {"prompt": "p", "voter": "a", "text": "\ud800"},
            "has text with half of a surrogate pair",
        ),
    ],
)
def test_a_bad_record_is_reported_and_the_others_are_read(write, record, problem):
    good = {"prompt": "good", "voter": "a", "text": "x"}
    reading = read_generations([write(record, good)])
    assert [each.prompt for each in reading.ensembles] == ["good"]
    (row,) = reading.bad_rows
    assert (row.place, row.problem) == ("line 1", problem)


def test_a_bad_record_adds_nothing_of_itself(write):
    answers = [{"voter": "a", "text": "x"}, {"voter": "b"}]
    assert read_generations([write({"prompt": "p", "generations": answers})]).ensembles == ()


def test_strict_ends_at_the_first_bad_row_and_names_it(write):
    file = write({"prompt": "p", "voter": "a", "text": "x"}, {"prompt": "p"}, 7)
    with pytest.raises(UnreadableDataError, match=r"data.jsonl, line 2: has neither"):
        read_generations([file], strict=True)


ENSEMBLES = (
    ensemble("p", ("a", "1"), ("b", "2")),
    ensemble("q", ("b", "3")),
    ensemble("r", ("a", "4"), ("c", "5")),
)


def test_voters_in_order_of_first_appearance():
    assert voters_of(ENSEMBLES) == ("a", "b", "c")


def test_selecting_voters_leaves_out_prompts_without_an_answer():
    assert select(ENSEMBLES, ["a", "c"]) == (ensemble("p", ("a", "1")), ENSEMBLES[2])


def test_the_limit_counts_what_is_left():
    assert select(ENSEMBLES, ["a"], limit=2)[-1] == ensemble("r", ("a", "4"))
    assert select(ENSEMBLES, limit=1) == ENSEMBLES[:1]


def test_an_unknown_voter_is_refused_with_the_names_that_exist():
    with pytest.raises(UnreadableDataError, match=r"No answer is by d; the voters are a, b, c\."):
        select(ENSEMBLES, ["a", "d"])
