"""ListRouters, GetRouter and ReloadRouter over the wire, and directories that change."""

import shutil
import time

import grpc
import pytest

from pointsman.v1 import admin_service_pb2 as pb
from pointsman.v1 import admin_service_pb2_grpc as rpc
from pointsman.v1 import routing_service_pb2 as routing_pb
from pointsman.v1 import routing_service_pb2_grpc as routing_rpc
from pointsman.v1 import scoring_service_pb2_grpc as scoring_rpc
from pointsman.v1 import types_pb2
from tests.homed_router import corrupt, remove, swap_link, write_router
from tests.wire.test_scoring import error_of, vector_request

INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNMET = grpc.StatusCode.FAILED_PRECONDITION
PATIENCE_SECONDS = 60


@pytest.fixture
def admin(routing_channel):
    return rpc.AdminServiceStub(routing_channel)


@pytest.fixture
def routing(routing_channel):
    return routing_rpc.RoutingServiceStub(routing_channel)


def router(admin, name) -> pb.Router:
    return admin.GetRouter(pb.GetRouterRequest(router=name)).router


def reload(admin, name, directory="") -> pb.Router:
    request = pb.ReloadRouterRequest(router=name, directory=str(directory))
    return admin.ReloadRouter(request).router


def model_for(routing, name, word="cat") -> str:
    prompt = types_pb2.Prompt(text=word)
    return routing.RoutePrompt(routing_pb.RoutePromptRequest(router=name, prompt=prompt)).model


def wait_for(happened) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_router_is_listed_by_name(admin):
    listed = admin.ListRouters(pb.ListRoutersRequest()).routers
    names = [each.name for each in listed]
    assert names == sorted(names)
    assert {"main", "plain", "free", "judged"} <= set(names)
    assert {each.name: each.kind for each in listed}["judged"] == "knn"


def test_a_trained_router_is_described(admin):
    described = router(admin, "main")
    assert (described.name, described.kind) == ("main", "routerdc")
    assert list(described.models) == ["feline", "canine", "carpet"]
    assert described.space.id.startswith("encoder/")
    assert described.space.dimension == 6
    assert described.last_error == ""
    assert 0 < described.load_time.ToSeconds() <= time.time()


def test_a_router_over_a_pool_is_described_as_it_grows(admin, routing_channel):
    before = router(admin, "growing")
    scoring = scoring_rpc.ScoringServiceStub(routing_channel)
    scoring.ScoreGenerations(vector_request("growing", learn=True))
    after = router(admin, "growing")
    assert (after.kind, list(after.models)) == ("smoothie", ["v0", "v1", "v2", "v3"])
    assert (after.space.id, after.space.dimension) == ("vectors/caller", 2)
    assert int(after.revision) == int(before.revision) + 1


def test_a_router_whose_pool_is_not_there_is_described_too(admin):
    described = router(admin, "waiting")
    assert (described.revision, list(described.models)) == ("0", [])
    assert not described.HasField("space")


def test_a_bad_name_is_refused(admin):
    for name, code, reason in (
        ("", INVALID, "INVALID_REQUEST"),
        ("no name!", INVALID, "INVALID_REQUEST"),
        ("nobody", grpc.StatusCode.NOT_FOUND, "ROUTER_NOT_FOUND"),
    ):
        for call in (
            lambda name=name: router(admin, name),
            lambda name=name: reload(admin, name),
        ):
            assert error_of(call)[:2] == (code, reason)


def test_a_bad_directory_is_refused_by_field(admin):
    for directory in ("relative/path", "/a\x00b", "/" + "x" * 5000):
        code, _, fields = error_of(lambda directory=directory: reload(admin, "main", directory))
        assert (code, fields) == (INVALID, ["directory"])
    code, _, fields = error_of(lambda: reload(admin, "free"))
    assert (code, fields) == (INVALID, ["router"])


@pytest.mark.parametrize("method", ["GetRouter", "ReloadRouter"])
def test_an_empty_name_is_told_from_a_bad_one(admin, method):
    request = getattr(pb, f"{method}Request")
    with pytest.raises(grpc.RpcError, match="router: is empty; name a router"):
        getattr(admin, method)(request())
    with pytest.raises(grpc.RpcError, match="router: must be"):
        getattr(admin, method)(request(router="no router!"))


def test_what_is_unchanged_stays_in_service_as_it_is(admin):
    before = router(admin, "still")
    assert reload(admin, "still") == before


def test_a_new_directory_is_swapped_in_and_back(admin, routing, routers_folder):
    before = router(admin, "still")
    assert model_for(routing, "still") == "feline"
    after = reload(admin, "still", routers_folder / "swapped")
    assert after.revision != before.revision
    assert after.space.dimension == 8
    assert after.load_time.ToNanoseconds() > before.load_time.ToNanoseconds()
    assert model_for(routing, "still") == "canine"
    assert reload(admin, "still").revision == after.revision  # the new directory is the one now
    assert reload(admin, "still", routers_folder / "main").revision == before.revision
    assert model_for(routing, "still") == "feline"


def broken(folder, how):
    directory = folder / f"broken-{how}"
    if how != "missing":
        write_router(directory)
    if how == "corrupted":
        corrupt(directory)
    if how == "without a manifest":
        (directory / "manifest.json").unlink()
    if how == "with a wrong manifest":
        (directory / "manifest.json").write_text("{}")
    if how == "with more files":
        (directory / "more.bin").write_bytes(b"more")
    return directory


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("missing", "ARTEFACT_NOT_FOUND"),
        ("without a manifest", "ARTEFACT_NOT_FOUND"),
        ("corrupted", "ARTEFACT_INVALID"),
        ("with a wrong manifest", "ARTEFACT_INVALID"),
        ("with more files", "ARTEFACT_INVALID"),
    ],
)
def test_a_broken_artefact_leaves_the_old_one_in_service(admin, routing, tmp_path, how, reason):
    before = router(admin, "still")
    directory = broken(tmp_path, how)
    code, found, _ = error_of(lambda: reload(admin, "still", directory))
    assert (code, found) == (UNMET, reason)
    assert router(admin, "still") == before
    assert model_for(routing, "still") == "feline"
    assert reload(admin, "still") == before  # and the directory of before is still the one


def test_what_the_settings_need_the_artefact_must_have(admin, routers_folder):
    with pytest.raises(grpc.RpcError, match="abstain_below_probability") as caught:
        reload(admin, "improbable", routers_folder / "plain")
    assert caught.value.code() is UNMET


def test_a_link_that_leads_elsewhere_is_followed(routing, routers_folder):
    link = routers_folder / "moving"
    assert model_for(routing, "moving") == "feline"
    swap_link(link, routers_folder / "swapped")
    wait_for(lambda: model_for(routing, "moving") == "canine")
    swap_link(link, routers_folder / "main")
    wait_for(lambda: model_for(routing, "moving") == "feline")


def test_a_broken_artefact_is_left_until_it_changes(admin, routing, routers_folder, routing_server):
    link, bad = routers_folder / "moving", routers_folder / "bad"
    write_router(bad, {"canine": "cat"})
    corrupt(bad)
    already = routing_server.log.read_text().count("router_refused")
    swap_link(link, bad)
    wait_for(lambda: router(admin, "moving").last_error)
    assert model_for(routing, "moving") == "feline"
    time.sleep(0.5)  # ten looks
    assert routing_server.log.read_text().count("router_refused") == already + 1
    corrupt(bad)  # the same byte again: whole
    wait_for(lambda: model_for(routing, "moving") == "canine")
    assert router(admin, "moving").last_error == ""
    swap_link(link, routers_folder / "main")
    wait_for(lambda: model_for(routing, "moving") == "feline")


def test_a_directory_that_goes_leaves_the_old_one_in_service(admin, routing, routers_folder):
    link, passing = routers_folder / "moving", routers_folder / "passing"
    before = router(admin, "moving").revision
    shutil.copytree(routers_folder / "main", passing)
    swap_link(link, passing)
    remove(passing)
    wait_for(lambda: router(admin, "moving").last_error)
    assert model_for(routing, "moving") == "feline"
    write_router(passing, {"canine": "cat"})
    wait_for(lambda: model_for(routing, "moving") == "canine")
    swap_link(link, routers_folder / "main")
    wait_for(lambda: router(admin, "moving").revision == before)
    assert router(admin, "moving").last_error == ""


def test_a_watch_that_is_off_sees_nothing(admin, routing, routers_folder):
    link, name = routers_folder / "moving", "still"
    reload(admin, name, link)
    swap_link(link, routers_folder / "swapped")
    wait_for(lambda: model_for(routing, "moving") == "canine")
    assert model_for(routing, name) == "feline"
    assert reload(admin, name).revision == router(admin, "moving").revision
    swap_link(link, routers_folder / "main")
    wait_for(lambda: model_for(routing, "moving") == "feline")
    reload(admin, name)


def test_reloads_at_the_same_time_take_turns(admin, routing, routers_folder):
    directories = [routers_folder / name for name in ("main", "swapped")]
    calls = [
        admin.ReloadRouter.future(
            pb.ReloadRouterRequest(router="still", directory=str(directories[index % 2]))
        )
        for index in range(10)
    ]
    revisions = {call.result().router.revision for call in calls}
    assert len(revisions) == 2
    assert model_for(routing, "still") in ("feline", "canine")
    reload(admin, "still", routers_folder / "main")
