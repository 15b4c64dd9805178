import json
import math

import numpy as np
import pytest

from evaluation.errors import UnreadableDataError
from evaluation.generations import FieldMapping
from evaluation.judging.reading import read_judgements

HEADER = "prompt,eval_name,big,small,big|model_response,small|model_response,big|total_cost\n"


def write(folder, *records, name="data.jsonl"):
    file = folder / name
    file.write_text("".join(json.dumps(each) + "\n" for each in records))
    return file


def wide(prompt, **answers):
    items = [
        {"voter": voter, "text": text, **({} if quality is None else {"quality": quality})}
        for voter, (text, quality) in answers.items()
    ]
    return {"prompt": prompt, "generations": items}


def test_a_quality_stands_beside_each_answer(tmp_path):
    file = write(tmp_path, wide("p", a=("x", 1), b=("y", 0.25)), wide("q", b=("z", None)))
    judged = read_judgements(files=[file]).judged
    assert (judged.voters, judged.prompts) == (("a", "b"), ("p", "q"))
    assert judged.texts == (("x", "y"), ("", "z"))
    np.testing.assert_array_equal(judged.wins, [[1, 0.25], [np.nan, np.nan]])
    np.testing.assert_array_equal(judged.present, [[True, True], [False, True]])
    assert judged.further == ()


def test_long_records_of_one_prompt_are_joined_over_files(tmp_path):
    files = [
        write(tmp_path, {"prompt": "p", "voter": v, "text": v, "quality": q}, name=f"{v}.jsonl")
        for v, q in (("a", 0.5), ("b", 1.0))
    ]
    judged = read_judgements(files=files).judged
    np.testing.assert_array_equal(judged.wins, [[0.5, 1.0]])
    assert judged.answered is None


def test_a_second_answer_of_a_voter_is_a_sample_of_it(tmp_path):
    answers = [
        {"voter": "a", "text": "first", "quality": 1},
        {"voter": "b", "text": "other", "quality": 0},
        {"voter": "a", "text": "second", "quality": 0},
    ]
    judged = read_judgements(
        files=[write(tmp_path, {"prompt": "p", "generations": answers})]
    ).judged
    np.testing.assert_array_equal(judged.wins, [[1, 0]])
    assert judged.further == ((("second",), ()),)


@pytest.mark.parametrize("quality", [1.5, -0.1, "good", [1], math.inf])
def test_what_is_no_quality_is_a_bad_row(tmp_path, quality):
    file = write(tmp_path, wide("p", a=("x", quality)), wide("q", a=("x", 1)))
    reading = read_judgements(files=[file])
    assert reading.judged.prompts == ("q",)
    (bad_row,) = reading.bad_rows
    assert "quality that is not a number from 0 to 1" in bad_row.problem
    with pytest.raises(UnreadableDataError, match="line 1"):
        read_judgements(files=[file], strict=True)


def test_fields_may_have_other_names(tmp_path):
    record = {"question": "p", "model": "a", "answer": "x", "judge": {"score": 0.75}}
    fields = FieldMapping("question", "all", "model", "answer", "judge.score")
    judged = read_judgements(files=[write(tmp_path, record)], fields=fields).judged
    np.testing.assert_array_equal(judged.wins, [[0.75]])


def test_without_any_quality_there_is_nothing_to_compare(tmp_path):
    with pytest.raises(UnreadableDataError, match="No answer has a quality"):
        read_judgements(files=[write(tmp_path, wide("p", a=("x", None)))])


def test_routerbench_has_answers_and_scores(tmp_path):
    file = tmp_path / "bench.csv"
    file.write_text(
        HEADER
        + "\"['What is it?']\",mmlu,1.0,0.0,['A'],\"['B\\n']\",0.1\n"
        + "plain,mmlu,0.5,,['C'],,0.1\n"
    )
    reading = read_judgements(files=[file])
    assert reading.bad_rows == ()
    assert reading.judged.prompts == ("What is it?", "plain")
    assert reading.judged.texts == (("A", "B\n"), ("C", ""))
    np.testing.assert_array_equal(reading.judged.wins, [[1, 0], [0.5, np.nan]])
    np.testing.assert_array_equal(reading.judged.present, [[True, True], [True, False]])


def test_a_table_without_answers_is_refused_row_by_row(tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("prompt,score:a\nhello,1.0\n")
    good = write(tmp_path, wide("q", a=("x", 1)))
    (bad_row,) = read_judgements(files=[file, good]).bad_rows
    assert "MODEL|model_response" in bad_row.problem


def test_a_folder_is_read_as_the_preferences_are(tmp_path):
    for voter, preference in (("a", 1.75), ("b", None)):
        folder = tmp_path / voter
        folder.mkdir()
        output = {"instruction": "p", "generator": voter, "output": f"of {voter}"}
        (folder / "model_outputs.json").write_text(json.dumps([output]))
        judgement = {"instruction": "p", "preference": preference}
        (folder / "annotations.json").write_text(json.dumps([judgement]))
    judged = read_judgements([tmp_path]).judged
    assert judged.texts == (("of a", "of b"),)
    np.testing.assert_array_equal(judged.wins, [[0.75, np.nan]])


def test_voters_and_prompts_can_be_left_out(tmp_path):
    file = write(
        tmp_path, wide("p", a=("x", 1), b=("y", 0)), wide("q", a=("z", 1)), wide("r", b=("w", 1))
    )
    judged = read_judgements(files=[file]).judged
    kept = judged.of(["b"])
    assert (kept.voters, kept.prompts, kept.texts) == (("b",), ("p", "r"), (("y",), ("w",)))
    assert judged.first(2).prompts == ("p", "q")
    assert judged.first(None).prompts == ("p", "q", "r")


def test_where_nothing_is_readable_the_first_fault_is_named(tmp_path):
    file = write(tmp_path, {"prompt": "p"}, {"prompt": "q"})
    with pytest.raises(UnreadableDataError, match="line 1: has neither generations"):
        read_judgements(files=[file])


def test_routerbench_may_come_as_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "prompt": ["['p']"],
        "big": [1.0],
        "small": [0.0],
        "big|model_response": ["['A']"],
        "small|model_response": ["['B']"],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "bench.parquet")
    judged = read_judgements(files=[tmp_path / "bench.parquet"]).judged
    assert judged.texts == (("A", "B"),)
    np.testing.assert_array_equal(judged.wins, [[1, 0]])
