"""What growth is made of: slopes of times, and graphs that are built once."""

import shutil
import sys
from functools import partial

import numpy as np
import pytest

from benchmarks.speed import growth as module
from benchmarks.speed.graphs import kept_graph, made_nodes, made_queries
from benchmarks.speed.growth import Growth, plot
from benchmarks.speed.kept import kept


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    directory = tmp_path / "home"
    monkeypatch.setenv("POINTSMAN_BENCH_CACHE", str(directory))
    return directory


def growth(power):
    sizes = (3, 12, 64)
    seconds = np.array([0.001, 0.002])[:, None] * np.array(sizes, np.float64) ** power
    return Growth("each", "Each by size", 1.1, sizes, seconds)


@pytest.mark.parametrize(("power", "met"), [(0.0, True), (1.0, True), (2.0, False)])
def test_the_slope_is_the_power_of_the_size(power, met):
    figure = growth(power).figure()
    assert figure.measured.median == pytest.approx(power, abs=1e-9)
    assert figure.met is met
    assert f"the last step alone has the slope {power:.2f}" in figure.note.replace("-0.00", "0.00")


def test_the_plot_names_each_slope():
    assert "Each by size: 2.00" in plot([growth(2.0)])


def test_the_plot_is_of_what_the_flags_say(tmp_path, monkeypatch, capsys):
    efforts = []
    monkeypatch.setattr(module, "grow", lambda effort: efforts.append(effort) or [growth(1.0)])
    picture = tmp_path / "growth.svg"
    monkeypatch.setattr(sys, "argv", ["growth", "--plot", str(picture), "--quick"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert [each.quick for each in efforts] == [True]
    assert "Each by size: 1.00" in picture.read_text()
    assert "Each by size" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["growth", "--plt", str(picture)])
    with pytest.raises(SystemExit) as refused:
        module.main()
    assert refused.value.code == 2


def test_what_is_kept_is_built_once(tmp_path, home):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("first")
    build = partial(shutil.copytree, source, dirs_exist_ok=True)
    assert (kept("name", build) / "file").read_text() == "first"
    (source / "file").write_text("second")
    assert (kept("name", build) / "file").read_text() == "first"
    assert [each.name for each in home.iterdir()] == ["name"]


def test_what_can_not_be_built_leaves_nothing(tmp_path, home):
    with pytest.raises(RuntimeError, match="exit code 1"):
        kept("name", partial(shutil.copytree, tmp_path / "missing", dirs_exist_ok=True))
    assert not list(home.iterdir())


def test_a_kept_graph_finds_the_nearest():
    graph, nodes = kept_graph(500), made_nodes(500)
    nearest = [(each, int(((nodes - each) ** 2).sum(1).argmin())) for each in made_queries(20)]
    assert sum(node in graph.search(query[None], 20)[0] for query, node in nearest) >= 19
