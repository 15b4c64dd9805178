import re
from pathlib import Path

import numpy as np

from evaluation.scores import read_scores

PAGE = (Path(__file__).parents[3] / "docs/scores.md").read_text()


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL).group(1)


def test_the_examples_of_the_page_are_read_and_say_the_same(tmp_path):
    lines, table = tmp_path / "a.jsonl", tmp_path / "b.csv"
    lines.write_text(block("json"))
    table.write_text(block("csv"))
    readings = [read_scores([file], strict=True) for file in (lines, table)]
    assert [len(each.table) for each in readings] == [2, 1]
    assert readings[0].table.rows([0]).fingerprint == readings[1].table.fingerprint


def test_the_definitions_of_the_page_give_what_it_says():
    names = {}
    imports, *_ = block("python").partition("\n\n")
    exec(imports, names)
    said = re.findall(r"^(\w+\(.*\)) +# \[([\d.]+)", block("python"), re.MULTILINE)
    assert len(said) == 3
    for call, value in said:
        np.testing.assert_allclose(eval(call, names), [float(value)], atol=1e-3)


def test_the_bad_rows_of_the_page_are_worded_as_they_are(tmp_path):
    file = tmp_path / "scores.jsonl"
    file.write_text('{"prompt": "p", "scores": {"large": 1.2}}\n{"scores": {"large": 1}}\n')
    problems = [each.problem for each in read_scores([file]).bad_rows]
    assert all(f": {problem}.\n" in PAGE for problem in problems)
    assert len(problems) == 2
