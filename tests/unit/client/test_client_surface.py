"""The public names, and that both clients have the same."""

import dataclasses
import inspect

import pytest

import pointsman.client
from pointsman.client import AsyncClient, Client, inventory, policies, requests, results


def test_the_public_names_are_these():
    assert sorted(pointsman.client.__all__) == [
        "Answer",
        "ArgMaxPolicy",
        "AsyncClient",
        "BudgetPolicy",
        "Calibration",
        "Client",
        "CostPenaltyPolicy",
        "Durability",
        "Embedding",
        "EmbeddingSpace",
        "Estimator",
        "Fallback",
        "FieldError",
        "FirstConfidentPolicy",
        "Generation",
        "GenerationScore",
        "Generations",
        "ImportResult",
        "ModelScore",
        "NearestConfidencePolicy",
        "Outcome",
        "OutcomeResult",
        "PointsmanError",
        "Policy",
        "Pool",
        "PoolVoter",
        "RandomConfidentPolicy",
        "RouteRequest",
        "RouteResult",
        "Router",
        "RoutingFallback",
        "Sample",
        "SamplePolicy",
        "ScoreRequest",
        "ScoreResult",
        "Stickiness",
        "ThresholdPolicy",
        "Timings",
        "Vector",
        "VoterScore",
        "WriteReceipt",
    ]
    assert all(hasattr(pointsman.client, each) for each in pointsman.client.__all__)


def public_methods(kind):
    return {
        name: method
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") or name == "__init__"
    }


def parameters(method):
    return [
        (each.name, each.kind, each.default)
        for each in inspect.signature(method).parameters.values()
    ]


def test_both_clients_have_the_same_methods():
    blocking, aio = public_methods(Client), public_methods(AsyncClient)
    assert {name: parameters(method) for name, method in blocking.items()} == {
        name: parameters(method) for name, method in aio.items()
    }
    assert set(blocking) == {
        "__init__",
        "close",
        "delete_pool",
        "export_samples",
        "import_samples",
        "pool",
        "pools",
        "record_outcome",
        "reload_router",
        "route",
        "route_many",
        "router",
        "routers",
        "score",
        "score_many",
    }


@pytest.mark.parametrize(
    ("method", "kind"),
    [(Client.score, requests.ScoreRequest), (Client.route, requests.RouteRequest)],
)
def test_a_request_takes_what_its_method_takes(method, kind):
    of_the_call = {"self", "timeout", "request_id"}
    taken = [
        (each.name, each.default)
        for each in inspect.signature(method).parameters.values()
        if each.name not in of_the_call
    ]
    fields = [
        (
            each.name,
            inspect.Parameter.empty if each.default is dataclasses.MISSING else each.default,
        )
        for each in dataclasses.fields(kind)
    ]
    assert fields == taken


def values():
    return [
        each
        for module in (inventory, policies, requests, results)
        for each in vars(module).values()
        if dataclasses.is_dataclass(each) and each.__module__ == module.__name__
    ]


@pytest.mark.parametrize("kind", values(), ids=lambda kind: kind.__name__)
def test_values_are_frozen_and_slotted(kind):
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
    assert kind.__name__ in pointsman.client.__all__
