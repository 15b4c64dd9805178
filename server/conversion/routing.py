"""RoutePrompt, from the wire and back."""

from pointsman.v1 import routing_service_pb2 as pb
from server.conversion.checks import Checks
from server.conversion.policies import policy_of
from server.conversion.replies import write_timings
from server.requests import NO_POLICY, RouteReply, RouteRequest
from server.settings import Settings


def route_request(message: pb.RoutePromptRequest, settings: Settings) -> RouteRequest:
    """Validates a request.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks = Checks(settings.limits)
    candidates, denied = tuple(message.candidates), tuple(message.denied)
    if message.router:
        checks.pool(message.router, "router")
    checks.space(message.embedding_space)
    checks.models(candidates, "candidates")
    checks.models(denied, "denied")
    if candidates and set(denied).issuperset(candidates):
        checks.refuse("denied", "has every candidate, which leaves none; deny fewer")
    policy = policy_of(message.policy, checks) if message.HasField("policy") else NO_POLICY
    prompt = checks.prompt(message.prompt, message.embedding_space)
    checks.raise_if_any()
    assert policy is not None  # noqa: S101  nothing is missing without a violation
    assert prompt is not None  # noqa: S101
    return RouteRequest(message.router, prompt, candidates, frozenset(denied), policy)


def route_response(reply: RouteReply) -> pb.RoutePromptResponse:
    """Writes a reply."""
    decision = reply.decision
    response = pb.RoutePromptResponse(
        model=decision.model,
        margin=decision.margin,
        entropy=decision.entropy,
        abstained=decision.abstained,
        router=reply.router,
        router_revision=reply.revision,
        neighbours_used=decision.neighbours_used,
        voters_used=decision.voters_used,
        prompt_truncated=reply.truncated,
    )
    for model, score, probability, cost in decision.ranking:
        response.ranking.add(model=model, score=score, probability=probability, cost=cost)
    write_timings(reply.timings, response.timings)
    if decision.fallback is not None:
        response.fallback.reason = decision.fallback.reason
        response.fallback.message = decision.fallback.message
    return response
