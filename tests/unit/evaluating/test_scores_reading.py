import codecs
import csv
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from evaluation.errors import UnreadableDataError
from evaluation.scores import ScoreFields, read_prompts, read_scores

RECORDS = [
    {"prompt": "One?", "task": "x", "scores": {"a": 1, "b": 0.5}, "costs": {"a": 2.0}},
    {"prompt": "Two,\n\"quoted\"?", "task": "y", "scores": {"b": 0.0}, "costs": {"b": 0.5}},
]  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write_file


def lines(records):
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records)


def problems(reading):
    return [(each.place, each.problem) for each in reading.bad_rows]


CSV = """prompt,task,score:a,score:b,cost:a,cost:b,note
One?,x,1,0.5,2.0,,ignored
"Two,
""quoted""?",y,,0.0,,0.5,
"""


def write_parquet(file, columns):
    parquet.write_table(pa.table(columns), file)
    return file


def flat_parquet(file):
    return write_parquet(
        file,
        {
            "prompt": [each["prompt"] for each in RECORDS],
            "task": ["x", "y"],
            "score:a": [1.0, None],
            "score:b": [0.5, 0.0],
            "cost:a": [2.0, None],
            "cost:b": [None, 0.5],
            "embedding": [[1.0], [2.0]],
        },
    )


def nested_parquet(file, kind):
    columns = {name: [each[name] for each in RECORDS] for name in ("prompt", "task")}
    for name in ("scores", "costs"):
        values = [each[name] for each in RECORDS]
        of_kind = pa.map_(pa.string(), pa.float64()) if kind == "map" else None
        items = [list(each.items()) for each in values] if kind == "map" else values
        columns[name] = pa.array(items, of_kind)
    return write_parquet(file, columns)


def test_every_format_gives_the_same_table(write, tmp_path):
    files = [
        write("l.jsonl", lines(RECORDS)),
        write("l.json", json.dumps(RECORDS)),
        write("c.csv", CSV),
        write(
            "d.csv", codecs.BOM_UTF8 + CSV.replace("\n", "\r\n").encode().replace(b"o,\r", b"o,")
        ),
        write("unnamed", CSV),
        flat_parquet(tmp_path / "p.parquet"),
        nested_parquet(tmp_path / "m.parquet", "map"),
        nested_parquet(tmp_path / "named.anything", "struct"),
    ]
    readings = [read_scores([file]) for file in files]
    for reading in readings:
        assert reading.bad_rows == ()
        assert reading.table.prompts == ("One?", "Two,\n\"quoted\"?")  # fmt: skip
        assert reading.table.tasks == ("x", "y")
        assert reading.table.models == ("a", "b")
        np.testing.assert_array_equal(reading.table.scores, [[1.0, 0.5], [np.nan, 0.0]])
        np.testing.assert_array_equal(reading.table.costs, [[2.0, np.nan], [np.nan, 0.5]])
    assert len({reading.table.fingerprint for reading in readings}) == 1


def test_files_are_joined_and_a_model_may_lack_rows(write):
    first = write("one.jsonl", lines([{"prompt": "p", "scores": {"a": 1}}]))
    second = write("two.csv", "prompt,score:b\nq,0.5\n")
    table = read_scores([first, second]).table
    assert (table.models, table.tasks, table.costs) == (("a", "b"), ("one", "two"), None)
    np.testing.assert_array_equal(table.scores, [[1.0, np.nan], [np.nan, 0.5]])


def test_routerdc_files_are_read_as_they_are(write):
    record = {"question": "What?", "scores": {"org/a-7b": 0, "org/b": 0.25}}
    for name in ("gsm8k-train.json", "gsm8k_test.json", "gsm8k-dev.json", "gsm8k.json"):
        table = read_scores([write(name, json.dumps([record]))]).table
        assert (table.prompts, table.tasks) == (("What?",), ("gsm8k",))
        assert table.models == ("org/a-7b", "org/b")


ROUTERBENCH = """,sample_id,prompt,eval_name,m/a,b,b|model_response,m/a|model_response,\
m/a|total_cost,b|total_cost,oracle_model_to_route_to
5,x.1,"['What\\'s\\nthis? ""A"" or ""B""']",arc,1.0,0.0,"['B,
""no""']",['A'],0.001,0.002,m/a
6,x.2,"[""One"", ""two""]",arc,0.0,,"['B']",['A'],0.003,,b
"""


def test_routerbench_files_are_read_as_they_are(write):
    reading = read_scores([write("arc_challenge_train.csv", ROUTERBENCH)])
    assert reading.bad_rows == ()
    table = reading.table
    assert table.prompts == ("What's\nthis? \"A\" or \"B\"", "One\n\ntwo")  # fmt: skip
    assert (table.tasks, table.models) == (("arc", "arc"), ("m/a", "b"))
    np.testing.assert_array_equal(table.scores, [[1.0, 0.0], [0.0, np.nan]])
    np.testing.assert_array_equal(table.costs, [[0.001, 0.002], [0.003, np.nan]])


def test_a_routerbench_table_without_a_models_scores_is_refused(write):
    reading = read_scores([write("x.csv", "prompt,a|total_cost\np,1\n")])
    assert problems(reading) == [
        ("line 1", "has a response or a cost of a, but no column of its scores")
    ]


def test_a_directory_means_its_files(write, tmp_path):
    write("b.jsonl", lines([{"prompt": "second", "scores": {"a": 1}}]))
    write("a.csv", "prompt,score:a\nfirst,1\n")
    write("README.md", "not data")
    write("notes.txt", "not data")
    (tmp_path / "deeper.csv").mkdir()
    assert read_scores([tmp_path]).table.prompts == ("first", "second")


def test_a_directory_without_data_is_reported(tmp_path):
    (row,) = read_scores([tmp_path]).bad_rows
    assert str(row).startswith(f"{tmp_path}: holds no .csv")


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("[1]", "is not a JSON object"),
        ('{"scores": {"a": 1}}', "has no prompt"),
        ('{"prompt": null, "scores": {"a": 1}}', "has no prompt"),
        ('{"prompt": " ", "scores": {"a": 1}}', "has an empty prompt"),
        ('{"prompt": 7, "scores": {"a": 1}}', "has a prompt that is not a string"),
        ('{"prompt": "\\ud800", "scores": {"a": 1}}',
         "has a prompt with half of a surrogate pair"),
        ('{"prompt": "p", "task": 7, "scores": {"a": 1}}', "has a task that is not a string"),
        ('{"prompt": "p"}', "has no scores"),
        ('{"prompt": "p", "scores": null}', "has no scores"),
        ('{"prompt": "p", "scores": [1]}', "has scores that are not an object of numbers by model"),
        ('{"prompt": "p", "scores": {}}', "has no score of any model"),
        ('{"prompt": "p", "scores": {"a": null}}', "has no score of any model"),
        ('{"prompt": "p", "scores": {" ": 1}}', "has an empty model in scores"),
        ('{"prompt": "p", "scores": {"a": "1"}}', "has a score of a that is not a number"),
        ('{"prompt": "p", "scores": {"a": true}}', "has a score of a that is not a number"),
        ('{"prompt": "p", "scores": {"a": 1.5}}',
         "has a score of a of 1.5, which is not from 0 to 1"),
        ('{"prompt": "p", "scores": {"a": -1}}',
         "has a score of a of -1, which is not from 0 to 1"),
        ('{"prompt": "p", "scores": {"a": NaN}}',
         "has a score of a of nan, which is not from 0 to 1"),
        ('{"prompt": "p", "scores": {"a": 1, "a": 0}}', "has 'a' twice in one object"),
        ('{"prompt": "p", "scores": {"a": 1}, "costs": {"a": -1}}',
         "has a cost of a of -1, which is not 0 or more"),
        ('{"prompt": "p", "scores": {"a": 1}, "costs": {"a": Infinity}}',
         "has a cost of a that is infinite"),
        ('{"prompt": "p", "scores": {"a": 1}, "costs": {"a": 1%s}}' % ("0" * 400),
         "has a cost of a that is infinite"),
        ('{"prompt": "p", "scores": {"a": 1}, "costs": {"b": 1}}',
         "has a cost of b, but no score of it"),
    ],
)  # fmt: skip
def test_a_bad_record_is_reported_with_its_line(write, record, problem):
    good = json.dumps({"prompt": "p", "scores": {"a": 1}})
    reading = read_scores([write("x.jsonl", f"{good}\n\n{record}\n{good}\n")])
    assert problems(reading) == [("line 3", problem)]
    assert len(reading.table) == 2


def test_csv_lines_are_counted_as_an_editor_counts_them(write):
    content = (
        b"prompt,score:a\n"  # 1
        b'"two\nlines",1\n'  # 2, 3
        b"\n"  # 4
        b"bad,x\n"  # 5
        b'"three\r\n\r\nlines",1,extra\n'  # 6 to 8
        b'"q" stray,1\n'  # 9
        b"\xff,1\n"  # 10
        b'"\n\xff",1\n'  # 11, 12
        b"good,0\r\n"  # 13
        b"few\n"  # 14
        b"nan,nan\n"  # 15
        b"under,0_1\n"  # 16
        b"carriage\rreturn,1\n"  # 17
        b',1\n'  # 18
        b'empty,\n'  # 19
        b'"never closed,1\n'  # 20
        b"swallowed,1\n"
    )  # fmt: skip
    reading = read_scores([write("x.csv", content)])
    assert problems(reading) == [
        ("line 5", "has a score of a that is not a number"),
        ("line 6", "has 3 fields, but the header has 2"),
        ("line 9", "is not CSV (',' expected after '\"')"),
        ("line 10", "is not UTF-8"),
        ("line 11", "is not UTF-8"),
        ("line 14", "has 1 fields, but the header has 2"),
        ("line 15", "has a score of a of nan, which is not from 0 to 1"),
        ("line 16", "has a score of a that is not a number"),
        ("line 17", "has a carriage return outside quotes; end lines with a line feed"),
        ("line 18", "has an empty prompt"),
        ("line 19", "has no score of any model"),
        ("line 20", "begins a quoted field that never ends; lines 20 to 21 are lost"),
    ]
    assert reading.table.prompts == ("two\nlines", "good")
    assert [each.more_lines for each in reading.bad_rows] == [0] * 11 + [1]


def test_a_quote_that_swallows_lines_says_which(write):
    reading = read_scores([write("x.csv", 'prompt,score:a\n"p,1\nq,1\n"r",1\ns,1\n')])
    (row,) = reading.bad_rows
    assert (row.place, row.more_lines) == ("line 2", 2)
    assert row.problem.endswith("; lines 2 to 4 are lost")
    assert reading.table.prompts == ("s",)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("prompt,score:a,score:a", "has two columns 'score:a'"),
        ("question,score:a", "has no column prompt; its columns are 'question', 'score:a'"),
        ("prompt,a", "has no column score:MODEL; its columns are 'prompt', 'a'"),
        ("prompt,score:", "has an empty model in scores"),
        ("prompt;score:a", "has no column prompt; its columns are 'prompt;score:a'"),
    ],
)
def test_a_bad_header_is_reported_once(write, header, problem):
    reading = read_scores([write("x.csv", f"{header}\np,1\n")])
    assert [each for _, each in problems(reading)] == [problem]
    assert len(reading.table) == 0


def test_fields_of_any_length_are_read_and_the_limit_is_left_as_it_was(write):
    limit = csv.field_size_limit()
    prompt = "x" * (limit + 1)
    assert read_scores([write("x.csv", f"prompt,score:a\n{prompt},1\n")]).table.prompts == (prompt,)
    assert csv.field_size_limit() == limit


def test_columns_may_have_other_names(write):
    content = "text,kind,gpt,llama,price of gpt\np,k,1,0,3\n"
    fields = ScoreFields("text", "kind", cost_prefix="price of ", score_columns=("gpt", "llama"))
    table = read_scores([write("x.csv", content)], fields).table
    assert (table.prompts, table.tasks, table.models) == (("p",), ("k",), ("gpt", "llama"))
    np.testing.assert_array_equal(table.costs, [[3.0, np.nan]])


def test_a_named_column_that_is_absent_is_reported(write):
    fields = ScoreFields(score_columns=("gpt",))
    reading = read_scores([write("x.csv", "prompt,a\np,1\n")], fields)
    assert problems(reading) == [("line 1", "has no column gpt; its columns are 'prompt', 'a'")]


def test_fields_of_json_may_have_other_names(write):
    record = {"text": "p", "kind": "k", "quality": {"a": 1}, "price": {"a": 3}}
    fields = ScoreFields("text", "kind", "quality", "price")
    table = read_scores([write("x.jsonl", json.dumps(record))], fields).table
    assert (table.tasks, table.scores[0, 0], table.costs[0, 0]) == (("k",), 1, 3)


def test_given_models_are_the_columns_and_another_is_refused(write):
    records = [{"prompt": "p", "scores": {"b": 1}}, {"prompt": "q", "scores": {"b": 1, "x": 1}}]
    reading = read_scores([write("x.jsonl", lines(records))], models=["a", "b"])
    assert reading.table.models == ("a", "b")
    assert problems(reading) == [("line 2", "scores x, which is none of the models")]


def test_strict_raises_at_the_first_bad_row(write):
    file = write("x.csv", "prompt,score:a\np,1\nq,2\nr,x\n")
    with pytest.raises(UnreadableDataError, match=r"x\.csv, line 3: has a score of a of 2\.0"):
        read_scores([file], strict=True)


def test_bad_rows_of_parquet_are_reported_with_their_index(tmp_path):
    columns = {"prompt": ["p", None, "r"], "score:a": [1.0, 1.0, 7.0]}
    reading = read_scores([write_parquet(tmp_path / "x.parquet", columns)])
    assert problems(reading) == [
        ("index 1", "has no prompt"),
        ("index 2", "has a score of a of 7.0, which is not from 0 to 1"),
    ]


def test_a_parquet_map_with_a_model_twice_is_refused(tmp_path):
    pairs = pa.array([[("a", 1.0), ("a", 0.0)]], pa.map_(pa.string(), pa.float64()))
    file = write_parquet(tmp_path / "x.parquet", {"prompt": ["p"], "scores": pairs})
    assert problems(read_scores([file])) == [
        ("index 0", "has scores that are not an object of numbers by model")
    ]


def test_damaged_parquet_is_one_bad_row(write, tmp_path):
    whole = flat_parquet(tmp_path / "x.parquet").read_bytes()
    for content in (b"PAR1", whole[:40], whole[:-20] + b"\0" * 20, b"text"):
        (row,) = read_scores([write("y.parquet", content)]).bad_rows
        assert row.place == ""
        assert "can't be read as Parquet" in row.problem


def test_parquet_without_scores_names_its_columns(tmp_path):
    file = write_parquet(tmp_path / "x.parquet", {"prompt": ["p"], "a": [1.0]})
    assert problems(read_scores([file])) == [
        ("", "has no column score:MODEL; its columns are 'prompt', 'a'")
    ]


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    file = flat_parquet(tmp_path / "x.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (row,) = read_scores([file]).bad_rows
    assert row.problem == "is Parquet, which needs pyarrow; install the extra `parquet`"


@pytest.mark.parametrize("name", ["x.csv", "x.txt", "x.jsonl"])
def test_utf_16_says_what_to_do(write, name):
    reading = read_scores([write(name, CSV.encode("utf-16"))])
    assert problems(reading) == [("", "is UTF-16; save it as UTF-8")]


def test_a_missing_file_is_reported(tmp_path):
    (row,) = read_scores([tmp_path / "none.csv"]).bad_rows
    assert row.problem == "can't be read (No such file or directory)"


def test_an_empty_file_is_an_empty_table(write):
    for name in ("x.csv", "x.jsonl"):
        reading = read_scores([write(name, "")])
        assert (len(reading.table), reading.table.models, reading.bad_rows) == (0, (), ())


def test_prompts_are_read_from_lines_of_text(write):
    reading = read_prompts([write("some.txt", b"\xef\xbb\xbfOne?\r\n\n[Two?\n\xff\nThree?")])
    assert (reading.prompts, reading.tasks) == (("One?", "[Two?", "Three?"), ("some",) * 3)
    assert reading.table is None
    assert problems(reading) == [("line 4", "is not UTF-8 at byte 0")]


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.jsonl", '{"prompt": "p", "task": "t"}'), ("x.csv", "prompt,task\np,t\n"), ("x", "p")],
)
def test_prompts_need_no_scores(write, name, content):
    reading = read_prompts([write(name, content)])
    assert (reading.prompts, reading.table, reading.bad_rows) == (("p",), None, ())


def test_prompts_of_parquet_need_no_scores(tmp_path):
    file = write_parquet(tmp_path / "x.parquet", {"prompt": ["p"]})
    assert read_prompts([file]).prompts == ("p",)


def test_prompts_keep_the_scores_that_there_are(write):
    content = lines([{"prompt": "p", "scores": {"a": 1}}, {"prompt": "q"}])
    reading = read_prompts([write("x.jsonl", content)])
    assert reading.prompts == reading.table.prompts == ("p", "q")
    np.testing.assert_array_equal(reading.table.scores, [[1.0], [np.nan]])


def test_prompts_may_be_read_strictly(write):
    with pytest.raises(UnreadableDataError, match="line 1: has no prompt"):
        read_prompts([write("x.jsonl", "{}")], strict=True)
