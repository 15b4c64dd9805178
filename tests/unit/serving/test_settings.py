from pathlib import Path

import pytest
import yaml

from server.errors import SettingsError
from server.settings import Settings, load_settings


def write(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path, monkeypatch):
    file = write(tmp_path / "s.yaml", {"memory": {"capacity": 1, "queue": 2, "max_pools": 3}})
    monkeypatch.setenv("POINTSMAN_MEMORY__CAPACITY", "10")
    monkeypatch.setenv("POINTSMAN_MEMORY__QUEUE", "20")
    memory = load_settings(file, {"memory.capacity": 100}).memory
    assert (memory.capacity, memory.queue, memory.max_pools) == (100, 20, 3)
    assert memory.max_voters == Settings().memory.max_voters


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"memory.capacity": 0}, "memory.capacity"),
        ({"memory.capcity": 5}, "memory.capcity"),
        ({"nonsense": 5}, "nonsense"),
        ({"listen": "nowhere"}, "listen"),
        ({"listen": "127.0.0.1:99999"}, "listen"),
        ({"listen": ""}, "listen"),
        ({"socket": "/" + "x" * 200}, "socket"),
        ({"socket_mode": "abc"}, "socket_mode"),
        ({"socket_mode": 660}, "socket_mode"),
        ({"memory.time_to_live": 0}, "memory.time_to_live"),
        ({"encoder.directory": "/nowhere"}, "encoder.directory"),
        ({"encoder.directory": "~nosuchuser/x"}, "encoder.directory"),
        ({"encoder.cache": "~nosuchuser/x"}, "encoder.cache"),
        ({"state": "~nosuchuser/x"}, "state"),
        ({"socket": "~nosuchuser/x"}, "socket"),
        ({"routers.a.directory": "~nosuchuser/x"}, "routers.a.directory"),
        ({"estimator.neighbours": 2000}, "limits.neighbours"),
        ({"encoder.provider": "tpu"}, "encoder.provider"),
        ({"shutdown_grace": float("nan")}, "shutdown_grace"),
        ({"listen": "127.0.0.1:1", "listen.port": 5}, "listen"),
        ({"watch_interval": 0}, "watch_interval"),
        ({"default_router": "nobody"}, "default_router"),
        ({"routers.a.kind": "knn", "routers.b.kind": "knn"}, "default_router"),
        ({"routers": {}}, "routers"),
        ({"routers.a.kind": "magic"}, "routers.a"),
        ({"routers.a.kind": "artefact"}, "routers.a.directory"),
        ({"routers": {"a b": {"kind": "knn"}}}, "'a b'"),
        ({"routers.a.kind": "knn", "routers.a.pool": "no pool"}, "routers.a.pool"),
        ({"routers.a.kind": "knn", "routers.a.neighbours": 0}, "routers.a.neighbours"),
        ({"routers.a.kind": "knn", "routers.a.neighbours": 1001}, "limits.neighbours"),
        ({"routers.a.kind": "smoothie", "routers.a.least_neighbours": 21}, "least_neighbours"),
        ({"routers.a.kind": "knn", "routers.a.abstain_below_margin": 1}, "fallback"),
        ({"routers.a.directory": "/x", "routers.a.abstain_below_probability": 0.5}, "fallback"),
        (
            {
                "routers.a.kind": "smoothie",
                "routers.a.abstain_below_probability": 0.5,
                "routers.a.fallback": "m",
            },
            "routers.a.abstain_below_probability",
        ),
        ({"routers.a.kind": "knn", "routers.a.costs": {"m": -1}}, "routers.a.costs.m"),
    ],
)
def test_an_invalid_setting_is_refused_by_name_in_one_sentence(flags, named):
    with pytest.raises(SettingsError) as caught:
        load_settings(None, flags)
    assert named in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_router_is_named_by_flag_environment_and_file(tmp_path, monkeypatch):
    file = write(
        tmp_path / "s.yaml",
        {"routers": {"main": {"directory": "/of-the-file", "watch": False}, "b": {"kind": "knn"}}},
    )
    monkeypatch.setenv("POINTSMAN_ROUTERS__MAIN__DIRECTORY", "/of-the-environment")
    monkeypatch.setenv("POINTSMAN_ROUTERS__B__COSTS", '{"Big-1.5": 2}')
    flags = {"routers.b.neighbours": 3, "default_router": "b"}
    settings = load_settings(file, flags)
    main, other = settings.routers["main"], settings.routers["b"]
    assert (main.kind, main.directory, main.watch) == (
        "artefact", Path("/of-the-environment"), False
    )  # fmt: skip
    assert (other.kind, other.neighbours, other.costs) == ("knn", 3, {"Big-1.5": 2.0})
    assert settings.router_of_requests_without() == "b"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({}, "default"),
        ({"routers.main.directory": "/x"}, "main"),
        ({"routers.default.kind": "knn", "routers.b.kind": "knn"}, "default"),
        ({"routers.a.kind": "knn", "routers.b.kind": "knn", "default_router": "b"}, "b"),
    ],
)
def test_which_router_answers_requests_that_name_none(flags, name):
    assert load_settings(None, flags).router_of_requests_without() == name


def test_without_settings_there_is_one_router_without_labels():
    (router,) = Settings().routers.values()
    assert (router.kind, router.pool) == ("smoothie", "default")


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    file = tmp_path / "s.yaml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"s\.yaml"):
        load_settings(file, {})


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="can't be read"):
        load_settings(tmp_path / "none.yaml", {})


def test_an_empty_file_changes_nothing(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("")
    assert load_settings(file, {}).model_dump() == Settings().model_dump()


@pytest.mark.parametrize(("given", "mode"), [("0600", "0600"), (0o600, "0600"), (0o644, "0644")])
def test_a_mode_may_be_written_as_yaml_reads_it(given, mode):
    assert load_settings(None, {"socket_mode": given}).socket_mode == mode


def test_settings_are_frozen():
    with pytest.raises(Exception, match="frozen"):
        load_settings(None, {}).listen = "x"
