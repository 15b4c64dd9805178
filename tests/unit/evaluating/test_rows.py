import codecs

import pytest

from evaluation.rows import BadRow, Row, read_rows


@pytest.fixture
def read(tmp_path):
    def read_bytes(content):
        file = tmp_path / "data"
        file.write_bytes(content)
        return list(read_rows(file))

    return read_bytes


def values(rows):
    return [(row.place, row.value) for row in rows if isinstance(row, Row)]


def problems(rows):
    return [(row.place, row.problem) for row in rows if isinstance(row, BadRow)]


def test_lines_keep_their_number_over_empty_ones(read):
    rows = read(b'\n{"a": 1}\r\n   \n\n{"a": 2}')
    assert values(rows) == [("line 2", {"a": 1}), ("line 5", {"a": 2})]


def test_a_list_is_told_by_its_first_character(read):
    assert values(read(b' \n\t[\n1,\n{"a": 2}]')) == [("index 0", 1), ("index 1", {"a": 2})]


@pytest.mark.parametrize("content", [b'{"a": 1}', b'[{"a": 1}]'])
def test_a_byte_order_mark_is_passed_over(read, content):
    assert [value for _, value in values(read(codecs.BOM_UTF8 + content))] == [{"a": 1}]


@pytest.mark.parametrize("content", [b"", b"\n \n", codecs.BOM_UTF8])
def test_an_empty_file_has_no_rows(read, content):
    assert read(content) == []


def test_a_short_file_is_read_whole(read):
    assert values(read(b"7")) == [("line 1", 7)]


def test_a_bad_line_is_reported_and_the_next_is_read(read):
    rows = read(b'{"a": }\n{"a": "\xff"}\n{"a": 3}\n')
    assert values(rows) == [("line 3", {"a": 3})]
    (first, syntax), (second, encoding) = problems(rows)
    assert (first, second) == ("line 1", "line 2")
    assert syntax == "is not JSON at column 7 (Expecting value)"
    assert encoding == "is not UTF-8 at byte 7"


def test_a_bad_list_is_bad_as_a_whole(read):
    rows = read(b'[{"a": 1},\n{"a": }]')
    assert problems(rows) == [("", "is not JSON at line 2, column 7 (Expecting value)")]
    assert values(rows) == []


def test_utf_16_says_what_to_do(read):
    assert problems(read('{"a": 1}'.encode("utf-16"))) == [("", "is UTF-16; save it as UTF-8")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[" * 200_000, "is nested too deeply"),
        (b"7" * 5_000, "holds a number that is too long"),
    ],
)
def test_what_the_parser_refuses_is_a_bad_row(read, line, problem):
    assert [each for _, each in problems(read(b"{}\n" + line))] == [problem]


def test_a_missing_file_is_a_bad_row(tmp_path):
    (row,) = read_rows(tmp_path / "none")
    assert str(row) == f"{tmp_path / 'none'}: can't be read (No such file or directory)."


def test_a_bad_row_names_file_and_place(tmp_path):
    row = BadRow(tmp_path / "x.jsonl", "line 3", "is not a JSON object")
    assert str(row) == f"{tmp_path / 'x.jsonl'}, line 3: is not a JSON object."
