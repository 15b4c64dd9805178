"""One server with routers of every kind."""

import grpc
import pytest
import yaml

from tests.homed_router import swap_link, write_fitted, write_router
from tests.server_process import ServerProcess


@pytest.fixture(scope="session")
def routers_folder(tmp_path_factory):
    """Holds the artefacts main, plain, swapped and fitted, and the link `moving` to one of them."""
    folder = tmp_path_factory.mktemp("routers")
    write_router(folder / "main")
    write_router(folder / "plain", costs={}, temperature=None)
    write_router(folder / "swapped", {"feline": "dog", "canine": "cat"}, dimension=8)
    write_fitted(folder / "fitted")
    swap_link(folder / "moving", folder / "main")
    return folder


@pytest.fixture(scope="session")
def routing_server(tmp_path_factory, routers_folder):
    """A running server with routers of every kind; each test takes pools of its own."""
    folder = tmp_path_factory.mktemp("routing")
    main, plain = str(routers_folder / "main"), str(routers_folder / "plain")
    pooled = {"neighbours": 10, "least_neighbours": 3}
    settings = {
        "default_router": "main",
        "watch_interval": 0.05,
        "limits": {"candidates": 16, "text_bytes": 10_000},
        "routers": {
            "main": {"directory": main},
            "plain": {"directory": plain},
            "improbable": {
                "directory": main, "abstain_below_probability": 0.99, "fallback": "person"
            },
            "close": {"directory": plain, "abstain_below_margin": 2.5, "fallback": "carpet"},
            "moving": {"directory": str(routers_folder / "moving")},
            "still": {"directory": str(routers_folder / "moving"), "watch": False},
            "fitted": {"directory": str(routers_folder / "fitted")},
            "changing": {"directory": plain, "watch": False},
            "free": {"kind": "smoothie", "pool": "free", **pooled, "costs": {"a": 1, "b": 2}},
            "own": {"kind": "smoothie", "pool": "own", **pooled},
            "growing": {"kind": "smoothie", "pool": "growing", **pooled},
            "voted": {"kind": "smoothie", "pool": "voted", **pooled},
            "hoping": {"kind": "smoothie", "pool": "nothing", "fallback": "person"},
            "waiting": {"kind": "smoothie", "pool": "nothing"},
            "wide": {"kind": "smoothie", "pool": "wide", **pooled},
            "judged": {"kind": "knn", "pool": "judged", "neighbours": 2},
        },
    }  # fmt: skip
    config = folder / "pointsman.yaml"
    config.write_text(yaml.safe_dump(settings))
    with ServerProcess(folder, "--config", str(config)) as process:
        yield process


@pytest.fixture
def routing_channel(routing_server):
    with grpc.insecure_channel(routing_server.target) as channel:
        yield channel
