"""Records of benchmarks: files, tables and comparisons."""

import json
from dataclasses import replace

import pytest

from evaluation.errors import UnreadableDataError
from evaluation.speed import (
    Figure,
    Record,
    Spread,
    Target,
    TargetChange,
    Verdict,
    compare,
    figure_table,
    markdown_section,
    read_record,
    write_record,
)
from evaluation.speed.tables import number


def figure(name="a/b/c", ratio=(1.0, 1.1, 1.2), target=None, unit="ms", **more):
    return Figure.paired(
        name, f"what {name}", unit, list(ratio), "an echo", [1.0] * len(ratio),
        target=target, **more,
    )  # fmt: skip


def alone(value, unit="MB", target=None):
    return Figure("alone", "memory", unit, Spread.of([value]), target=target)


def record(*figures, **more):
    return Record("2026-11-28T00:00:00+00:00", {"cpu": "x"}, {"numpy": "2"}, figures, **more)


def test_a_record_is_read_as_written(tmp_path):
    made = record(figure(target=Target("at most", 2.0)), alone(3.0), quick=True, failed=("wire",))
    write_record(tmp_path / "r.json", made)
    assert read_record(tmp_path / "r.json") == made


def spoilt(tmp_path, change):
    file = tmp_path / "r.json"
    write_record(file, record(figure()))
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))
    return file


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda value: value["figures"][0]["measured"].update(median="1"), "figures.0.measured"),
        (lambda value: value["figures"][0]["measured"].update(median=9.0), "figures.0.measured"),
        (lambda value: value["figures"][0]["measured"].update(low=float("nan")), "figures.0"),
        (lambda value: value["figures"][0].update(ratio_of="x"), "figures.0.ratio_of"),
        (lambda value: value.pop("machine"), "machine"),
        (lambda value: value.update(schema=2), "schema 2"),
        (lambda value: value.pop("schema"), "no `schema`"),
    ],
)
def test_a_damaged_field_is_named_with_its_file(tmp_path, change, named):
    file = spoilt(tmp_path, change)
    with pytest.raises(UnreadableDataError) as caught:
        read_record(file)
    assert named in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'{"schema": 1', b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_said_to_be(tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(UnreadableDataError, match="not JSON"):
        read_record(tmp_path / "r.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UnreadableDataError, match=r"missing\.json can't be read"):
        read_record(tmp_path / "missing.json")


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")]])
def test_what_can_not_be_summed_up_is_refused(values):
    with pytest.raises(ValueError, match="a spread"):
        Spread.of(values)


LOWER, HIGHER = (1.0, 1.01, 1.02), (2.0, 2.01, 2.02)


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, Verdict.WORSE),
        ({"unit": "1/s"}, Verdict.BETTER),
        ({"ratio_of": "reference/ours"}, Verdict.WORSE),
        ({"target": Target("at least", 1.0)}, Verdict.BETTER),
        ({"target": Target("at most", 9.0), "unit": "1/s"}, Verdict.WORSE),
    ],
)
def test_which_way_is_worse(more, verdict):
    """Ours took, or made, twice as much as before."""
    one, other = figure(ratio=LOWER, **more), figure(ratio=HIGHER, **more)
    opposite = Verdict.BETTER if verdict is Verdict.WORSE else Verdict.WORSE
    assert compare(record(one), record(other)).changes[0].verdict is verdict
    assert compare(record(other), record(one)).changes[0].verdict is opposite


@pytest.mark.parametrize(
    ("after", "threshold"),
    [
        ((1.05, 1.06, 1.07), 0.1),  # apart, but little
        ((1.0, 1.0, 1.5, 2.0, 2.0), 0.1),  # much, but not apart
        (HIGHER, 1.5),
    ],
)
def test_a_change_must_be_large_and_clear(after, threshold):
    made = compare(record(figure(ratio=LOWER)), record(figure(ratio=after)), threshold)
    assert made.changes[0].verdict is Verdict.SAME
    assert not made.worse


def test_targets_newly_met_and_missed_are_those_of_the_new_run():
    old = figure(ratio=LOWER, target=Target("at most", 9.0))
    new = figure(ratio=HIGHER, target=Target("at most", 1.5))
    missed, met = compare(record(old), record(new)), compare(record(new), record(old))
    assert missed.changes[0].target is TargetChange.MISSED
    assert met.changes[0].target is TargetChange.NONE
    back = replace(old, target=new.target)
    assert compare(record(new), record(back)).changes[0].target is TargetChange.MET


def test_a_target_missed_by_a_hair_is_worse():
    old = figure(ratio=(1.48, 1.49, 1.5), target=Target("at most", 1.495))
    new = figure(ratio=(1.49, 1.5, 1.51), target=Target("at most", 1.495))
    made = compare(record(old), record(new))
    assert made.changes[0].verdict is Verdict.SAME
    assert len(made.worse) == 1


def test_measured_values_are_compared_only_on_one_machine():
    one, other = record(figure(), alone(100.0)), record(figure(), alone(200.0))
    same = compare(one, other)
    assert [each.measured_change for each in same.changes] == [0.0, 1.0]
    assert same.changes[1].verdict is Verdict.WORSE
    elsewhere = compare(one, replace(other, machine={"cpu": "y"}))
    assert [each.measured_change for each in elsewhere.changes] == [None, None]
    assert [each.verdict for each in elsewhere.changes] == [Verdict.SAME, Verdict.UNKNOWN]
    assert elsewhere.differences == ("cpu: x before, y now.",)


def test_another_revision_of_pointsman_is_what_one_compares_with():
    one = record(alone(1.0))
    other = replace(one, versions={**one.versions, "pointsman": "next"})
    assert compare(one, other).differences == ()


def test_figures_of_one_run_only_are_named():
    made = compare(record(figure("a"), figure("b")), record(figure("b"), figure("c")))
    assert (made.only_before, made.only_after) == (("a",), ("c",))


def test_a_figure_that_means_something_else_is_not_compared():
    made = compare(record(figure(unit="ms", ratio=LOWER)), record(figure(unit="s", ratio=HIGHER)))
    assert made.changes[0].verdict is Verdict.UNKNOWN


def test_markdown_has_a_row_per_figure_and_escapes_bars():
    target = Target("at least", 1.5)
    faster = figure(ratio=(0.5, 0.5, 0.5), target=target, ratio_of="reference/ours", note="Note.")
    lines = markdown_section(record(faster, replace(alone(3.0), what="a|b")))
    assert (
        "| what a/b/c | 0.500 ms (0.500 to 0.500) | an echo | 1.00 ms (1.00 to 1.00)"
        " | 2.00 (2.00 to 2.00) times faster | at least 1.50 | yes |" in lines
    )
    assert r"| a\|b | 3.00 MB |  |  |  |  |  |" in lines
    assert "- what a/b/c: Note." in lines
    assert figure_table(record(faster)).strong == frozenset()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.00123456, "0.00123"), (9.996, "10.00"), (12.34, "12.3"), (-2345.6, "-2,350")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text
