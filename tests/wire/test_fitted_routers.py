"""RoutePrompt by routers that were fitted to vectors, and a router that changes its kind."""

import grpc
import numpy as np
import pytest

from encoders import Artefact
from pointsman.v1 import admin_service_pb2 as admin_pb
from pointsman.v1 import admin_service_pb2_grpc as admin_rpc
from pointsman.v1 import routing_service_pb2 as pb
from pointsman.v1 import routing_service_pb2_grpc as rpc
from pointsman.v1 import types_pb2
from scoring.routers import build_router
from tests.homed_router import COSTS, HOMES, vector_of, write_counted, write_fitted, write_router
from tests.unit.artefact.tiny_router import forge_arrays
from tests.wire.test_scoring import error_of


@pytest.fixture
def routing(routing_channel):
    return rpc.RoutingServiceStub(routing_channel)


@pytest.fixture
def admin(routing_channel):
    return admin_rpc.AdminServiceStub(routing_channel)


def route(routing, name, word):
    prompt = types_pb2.Prompt(text=word)
    return routing.RoutePrompt(pb.RoutePromptRequest(router=name, prompt=prompt))


def reload(admin, name, directory):
    request = admin_pb.ReloadRouterRequest(router=name, directory=str(directory))
    return admin.ReloadRouter(request).router


@pytest.mark.parametrize(("model", "word"), HOMES.items())
def test_the_router_of_an_artefact_is_what_was_fitted(routing, routers_folder, model, word):
    reply = route(routing, "fitted", word)
    assert reply.model == reply.ranking[0].model == model
    artefact = Artefact.load(routers_folder / "fitted")
    router = build_router("shrinkage", artefact.models, artefact.arrays, artefact.manifest.method)
    scores = router.score(vector_of(routers_folder / "fitted", word)[None]).scores[0]
    said = {each.model: each for each in reply.ranking}
    assert [said[name].score for name in HOMES] == pytest.approx(scores.tolist(), abs=1e-6)
    weights = np.exp(scores / 0.1)
    assert [said[name].probability for name in HOMES] == pytest.approx(
        (weights / weights.sum()).tolist(), abs=1e-6
    )
    assert {name: said[name].cost for name in HOMES} == COSTS
    assert reply.router_revision == artefact.revision
    assert reply.neighbours_used == 2
    assert not reply.HasField("fallback")


def test_a_router_changes_its_kind_under_its_name(routing, admin, tmp_path):
    assert route(routing, "changing", "cat").neighbours_used == 0
    fitted = write_fitted(tmp_path / "fitted", dimension=8)
    described = reload(admin, "changing", tmp_path / "fitted")
    assert (described.kind, described.revision) == ("shrinkage", fitted.revision)
    assert list(described.models) == list(HOMES)
    assert described.space.dimension == 8
    for model, word in HOMES.items():
        reply = route(routing, "changing", word)
        assert (reply.model, reply.neighbours_used) == (model, 2)
    for kind in ("best-single", "logistic"):
        write_fitted(tmp_path / kind, kind)
        assert reload(admin, "changing", tmp_path / kind).kind == kind
        assert route(routing, "changing", "dog").model in HOMES
    write_router(tmp_path / "cosine")
    assert reload(admin, "changing", tmp_path / "cosine").kind == "routerdc"
    assert route(routing, "changing", "mat").model == "carpet"


def test_a_router_whose_encoder_has_no_network_is_served(routing, admin, tmp_path):
    artefact = write_counted(tmp_path / "counted")
    described = reload(admin, "changing", tmp_path / "counted")
    assert described.space.id == f"encoder/{artefact.manifest.encoder.revision}"
    for model, word in HOMES.items():
        reply = route(routing, "changing", f"the {word}, of course")
        assert reply.model == model
        assert reply.ranking[0].score == pytest.approx(1)
        assert not reply.prompt_truncated
    assert route(routing, "changing", "a 猫").ranking[0].score == 0
    assert route(routing, "changing", "cat " * 50).prompt_truncated


@pytest.mark.parametrize("spoil", ["pop", "add", "shape"])
def test_arrays_that_do_not_fit_leave_the_old_router(routing, admin, tmp_path, spoil):
    before = route(routing, "changing", "cat").router_revision
    artefact = write_fitted(tmp_path / "fitted")
    arrays = dict(artefact.arrays)
    if spoil == "pop":
        del arrays["prompts"]
    elif spoil == "add":
        arrays["others"] = np.zeros(1, np.float32)
    else:
        arrays["qualities"] = arrays["qualities"][:, :2]
    forge_arrays(tmp_path / "fitted", arrays)
    code, reason, _ = error_of(lambda: reload(admin, "changing", tmp_path / "fitted"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ARTEFACT_INVALID")
    assert route(routing, "changing", "cat").router_revision == before
