import csv
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from evaluation.bootstrap import Interval
from evaluation.report import (
    Bar,
    Column,
    IntervalBars,
    KeyFigure,
    Line,
    Lines,
    Paragraph,
    Point,
    Report,
    Section,
    Shares,
    Table,
    Verdict,
    cost,
    csv_lines,
    json_value,
    percent,
    print_report,
    render_html,
    render_svg,
    seconds,
    signed_points,
    spread,
    terminal_table,
    write_csv,
    write_json,
    write_page,
)

HOSTILE = "<script>alert('$x^2$')</script>&\"通义\x1b[31m"
NAN = math.nan


@pytest.fixture(scope="module")
def report():
    bars = IntervalBars("Bars", HOSTILE, "in %", (Bar(HOSTILE, 5, 4, 6), Bar("_none", NAN)), 5.0)
    lines = Lines(
        HOSTILE, "lines", "x", HOSTILE,
        (Line("_a", (1, 2), (1, 2), (0, 1), (2, 3), marked=True), Line("b", (1, 2), (2, NAN))),
        (Point(HOSTILE, 1.0, 1.0), Point("", 2.0, 2.0)),
        logarithmic=True,
    )  # fmt: skip
    shares = Shares("Shares", "shares", ("one", HOSTILE), ("a", "_b"), ((0.5, 0.5), (1, 0)))
    table = Table(
        HOSTILE, (Column(HOSTILE, numeric=False), Column("n"), Column("wide")),
        ((HOSTILE, "1", "w"), ("plain", "2", "w")), HOSTILE, frozenset({1}), (0, 1),
    )  # fmt: skip
    return Report(
        title=HOSTILE,
        verdict=Verdict.UNCLEAR,
        headline=f"We can't tell about {HOSTILE}.",
        summary=(HOSTILE,),
        figures=(KeyFigure(HOSTILE, "5 %", HOSTILE),),
        first=bars,
        sections=(Section(HOSTILE, (Paragraph(HOSTILE), lines, table, shares)),),
        facts=((HOSTILE, HOSTILE),),
    )


@pytest.fixture(scope="module")
def page(report):
    return render_html(report)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def parsed(page):
    parser = Tags()
    parser.feed(page)
    return parser


def test_a_hostile_name_stays_a_name(parsed):
    assert "script" not in parsed.tags
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    shown = "".join(parsed.text)
    assert shown.count("<script>alert('$x^2$')</script>") >= 10


def test_the_page_needs_nothing_else(page, parsed):
    assert not {"link", "img", "iframe", "object", "embed", "script"} & set(parsed.tags)
    references = [
        value for _, name, value in parsed.attributes if name in ("src", "href", "xlink:href")
    ]
    assert all(value.startswith("#") for value in references)
    assert not re.search(r"url\((?!#)|@import|https?://", page)


def test_every_reference_within_it_is_to_one_thing(page, parsed):
    names = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(names) == len(set(names))
    referred = set(re.findall(r"url\(#([^)]+)\)", page))
    referred |= {value[1:] for _, name, value in parsed.attributes if name == "href"}
    assert referred <= set(names)


def test_the_headline_comes_first_and_plots_have_descriptions(page, parsed):
    body = page[page.index("<body>") :]
    assert body.index("We can&#39;t tell about") < body.index("<svg")
    assert parsed.tags.count("svg") == 3
    assert [value for tag, name, value in parsed.attributes if (tag, name) == ("svg", "role")] == [
        "img"
    ] * 3
    assert parsed.tags.count("desc") == 3
    assert ("th", "scope", "row") in parsed.attributes


def test_the_same_report_gives_the_same_page(report, page):
    assert render_html(report) == page


def test_an_empty_report_is_a_page():
    page = render_html(Report("Nothing", Verdict.NONE, "No router was measured."))
    assert "No router was measured." in page
    assert "<svg" not in page


def test_text_in_a_plot_stays_text():
    drawn = render_svg(IntervalBars("t", "a", "x", (Bar("a model", 1.0),)))
    assert ">a model</text>" in drawn
    assert "<!DOCTYPE" not in drawn
    assert "<metadata" not in drawn


def test_a_long_name_keeps_its_end():
    name = "cognitivecomputations/a-model-with-a-long-name-2.9-llama3-8b"
    drawn = render_svg(IntervalBars("t", "a", "x", (Bar(name, 1.0),)))
    assert "2.9-llama3-8b</text>" in drawn
    assert name not in drawn


def shown(report, width=100):
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=width))
    return stream.getvalue()


def test_the_terminal_has_the_headline_in_its_first_line(report):
    long = replace(report, headline="We can't tell. " * 20)
    text = shown(long, width=40)
    assert text.splitlines()[0].strip() == ("We can't tell. " * 20).strip()
    assert max(len(line) for line in text.splitlines()[1:]) <= 100


def test_the_terminal_obeys_no_name(report):
    text = shown(report)
    assert "\x1b[31m" not in text
    assert "wide" not in text


@pytest.mark.parametrize("width", [40, 80, 100])
def test_a_terminal_breaks_no_number_and_names_what_it_has_no_room_for(width):
    models = [f"org/a-model-with-a-long-name-{place}-8b" for place in range(40)]
    columns = (Column("Way", numeric=False), Column("Of it", numeric=False), *map(Column, models))
    cells = [f"{place}.1 to {place}.9" for place in range(40)]
    table = Table("Ways", columns, (("a-router-with-quite-a-name", "nothing", *cells),))
    stream = io.StringIO()
    Console(file=stream, width=width).print(terminal_table(table))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    first = next(line for line in lines if "a-router" in line)
    name, _, *numbers = re.split(r"  +", first.strip())
    assert len(name) >= 14
    assert numbers == cells[: len(numbers)]
    assert f"{models[len(numbers)][:20]}" in "".join(lines)
    assert f"and {36 - len(numbers)} more." in " ".join(stream.getvalue().split())


def test_a_wide_terminal_shows_every_column():
    table = Table("Ways", (Column("Way", numeric=False), Column("n")), (("a", "1"),))
    stream = io.StringIO()
    Console(file=stream, width=80).print(terminal_table(table))
    assert "want of room" not in stream.getvalue()


def test_json_round_trips_and_has_no_nan(tmp_path):
    value = {
        "interval": Interval(NAN, 0.1, np.inf),
        "array": np.array([[1.0, NAN]]),
        "n": np.int64(3),
    }
    write_json(tmp_path / "a.json", value)
    read = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert read == {
        "interval": {"mean": None, "low": 0.1, "high": None}, "array": [[1.0, None]], "n": 3,
    }  # fmt: skip
    assert json_value(read) == read
    with pytest.raises(TypeError, match="object has no form in JSON"):
        json_value(object())


def test_csv_round_trips_and_runs_nothing(tmp_path):
    write_csv(
        tmp_path / "a.csv", ("name", "n"), [("=HYPERLINK(1)", 0.1), ('a,"b\n', NAN), ("x", -1.5)]
    )
    with (tmp_path / "a.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [["name", "n"], ["'=HYPERLINK(1)", "0.1"], ['a,"b ', ""], ["x", "-1.5"]]
    assert list(csv_lines(("a",), [])) == ["a\n"]


def test_a_page_is_written_whole(tmp_path, report, page):
    write_page(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (percent(0.58349), "58.3"),
        (percent(NAN), "-"),
        (signed_points(0.0294), "+2.9"),
        (signed_points(-0.0294), "-2.9"),
        (signed_points(-0.0001), "0.0"),
        (signed_points(NAN), "-"),
        (spread(Interval(0.5, 0.401, 0.602)), "40.1 to 60.2"),
        (spread(Interval(0.0, -0.01, 0.02), signed=True), "-1.0 to +2.0"),
        (spread(Interval(0.5, NAN, NAN)), ""),
        (cost(0.0012345), "0.00123"),
        (cost(NAN), "-"),
        (seconds(1.5), "1.5 s"),
        (seconds(0.0123), "12.3 ms"),
        (seconds(0.0000042), "4.2 µs"),
        (seconds(NAN), "-"),
    ],
)
def test_numbers_are_written_for_people(written, expected):
    assert written == expected
