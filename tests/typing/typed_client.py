"""What a type checker must know of both clients. Checked, and never run."""

from datetime import datetime
from typing import assert_type

import grpc
import numpy as np

from pointsman.client import (
    AsyncClient,
    BudgetPolicy,
    Calibration,
    Client,
    EmbeddingSpace,
    Estimator,
    Fallback,
    FieldError,
    Generation,
    GenerationScore,
    ImportResult,
    Outcome,
    OutcomeResult,
    PointsmanError,
    Pool,
    Router,
    RouteRequest,
    RouteResult,
    RoutingFallback,
    Sample,
    ScoreRequest,
    ScoreResult,
    WriteReceipt,
)


def blocking() -> None:
    with Client("unix:/run/s", timeout=None, retries=1) as client:
        assert_type(client, Client)
        result = client.score("why?", {"a": "yes", "b": ["no", "never"]}, estimator="local")
        assert_type(result, ScoreResult)
        assert_type(result.best, str)
        assert_type(result.scores, tuple[GenerationScore, ...])
        assert_type(result.scores[0].noise_variance, float | None)
        assert_type(result.margin, float | None)
        assert_type(result.agreement, float | None)
        assert_type(result.calibration, Calibration | None)
        assert_type(result.margin_standard_error, float | None)
        assert_type(result.estimator, Estimator)
        assert_type(result.fallback, Fallback | None)
        assert_type(result.learned, WriteReceipt | None)
        for index, each in client.score_many([ScoreRequest("why?", [("a", "yes")])]):
            assert_type(index, int)
            assert_type(each, ScoreResult | PointsmanError)
        route = client.route("why?", policy=BudgetPolicy(1.0))
        assert_type(route, RouteResult)
        assert_type(route.margin, float | None)
        assert_type(route.entropy, float | None)
        assert_type(route.fallback, RoutingFallback | None)
        for index, choice in client.route_many([RouteRequest("why?", policy=BudgetPolicy(1.0))]):
            assert_type(index, int)
            assert_type(choice, RouteResult | PointsmanError)
        outcome = client.record_outcome(1.0, model="a", sample_id="s")
        assert_type(outcome, OutcomeResult)
        assert_type(outcome.outcome_id, str)
        assert_type(client.pools(), tuple[Pool, ...])
        assert_type(client.pool("p").newest_at, datetime | None)
        assert_type(client.delete_pool("p"), int)
        samples = list(client.export_samples("p"))
        assert_type(samples, list[Sample | Outcome])
        space = EmbeddingSpace("caller", 2)
        assert_type(client.import_samples("p", samples, space=space), ImportResult)
        assert_type(client.routers(), tuple[Router, ...])
        assert_type(client.reload_router("r", directory="d"), Router)
        assert_type(client.router("r").space, EmbeddingSpace | None)


async def asynchronous() -> None:
    async with AsyncClient("127.0.0.1:1") as client:
        assert_type(client, AsyncClient)
        assert_type(await client.score("why?", {"a": "yes"}, learn=True), ScoreResult)
        async for index, each in client.score_many([]):
            assert_type(index, int)
            assert_type(each, ScoreResult | PointsmanError)
        assert_type(await client.route("why?"), RouteResult)
        async for index, choice in client.route_many([RouteRequest([0.5, 0.5])]):
            assert_type(index, int)
            assert_type(choice, RouteResult | PointsmanError)
        assert_type(await client.record_outcome(1.0, model="a", prompt="why?"), OutcomeResult)
        assert_type(await client.pools(), tuple[Pool, ...])
        assert_type([each async for each in client.export_samples("p")], list[Sample | Outcome])
        space = EmbeddingSpace("caller", 2)
        assert_type(await client.import_samples("p", [], space=space), ImportResult)
        assert_type(await client.reload_router("r"), Router)


def every_kind_of_answer(client: Client) -> None:
    client.score([0.5, 0.5], {"a": [1.0, 0.0], "b": [[1.0, 0.0], [0.0, 1.0]]})
    array = np.zeros(2, np.float32)
    client.score(array, {"a": array, "b": [array, array]})
    client.score(memoryview(b"1234").cast("f"), [("a", array), Generation("b", array)])


def errors(error: PointsmanError) -> None:
    assert_type(error.code, grpc.StatusCode)
    assert_type(error.fields, tuple[FieldError, ...])
    assert_type(error.retry_after, float | None)


def mistakes(client: Client) -> None:
    client.score(None, {"a": "yes"})  # type: ignore[arg-type]
    client.score("why?", {"a": 3})  # type: ignore[dict-item]
    client.score("why?", {"a": "yes"}, neighbors=3)  # type: ignore[call-arg]
    client.score("why?", {"a": "yes"}).best_index = 1  # type: ignore[misc]
    client.route_many(["why?"])  # type: ignore[list-item]
