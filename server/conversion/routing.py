"""RoutePrompt, from the wire and back."""

from pointsman.v1 import routing_service_pb2 as pb
from server.conversion.checks import Checks
from server.conversion.policies import policy_of
from server.conversion.replies import timings_message
from server.requests import RankedModel, RouteReply, RouteRequest
from server.settings import Settings


def route_request(message: pb.RoutePromptRequest, settings: Settings) -> RouteRequest:
    """Validates a request.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks = Checks(settings.limits)
    if message.router:
        checks.pool(message.router, "router")
    checks.space(message.embedding_space)
    checks.models(message.candidates, "candidates")
    checks.models(message.denied, "denied")
    if message.candidates and set(message.candidates) <= set(message.denied):
        checks.refuse("denied", "has every candidate, which leaves none; deny fewer")
    policy = policy_of(message.policy, checks)
    prompt = checks.prompt(message.prompt, message.embedding_space)
    checks.raise_if_any()
    assert policy is not None  # noqa: S101  nothing is missing without a violation
    assert prompt is not None  # noqa: S101
    return RouteRequest(
        router=message.router,
        prompt=prompt,
        candidates=tuple(message.candidates),
        denied=frozenset(message.denied),
        policy=policy,
    )


def route_response(reply: RouteReply) -> pb.RoutePromptResponse:
    """Writes a reply."""
    decision = reply.decision
    response = pb.RoutePromptResponse(
        model=decision.model,
        ranking=map(_model_score, decision.ranking),
        margin=decision.margin,
        entropy=decision.entropy,
        abstained=decision.abstained,
        router=reply.router,
        router_revision=reply.revision,
        neighbours_used=decision.neighbours_used,
        voters_used=decision.voters_used,
        timings=timings_message(reply.timings),
        prompt_truncated=reply.truncated,
    )
    if decision.fallback is not None:
        response.fallback.reason = decision.fallback.reason
        response.fallback.message = decision.fallback.message
    return response


def _model_score(ranked: RankedModel) -> pb.ModelScore:
    return pb.ModelScore(
        model=ranked.model, score=ranked.score, probability=ranked.probability, cost=ranked.cost
    )
