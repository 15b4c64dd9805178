"""Mutated requests for a running server, each with the codes that are right for it."""

import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from pointsman.v1 import admin_service_pb2 as admin
from pointsman.v1 import routing_service_pb2 as routing
from pointsman.v1 import scoring_service_pb2 as scoring
from pointsman.v1 import types_pb2
from tests.routing_mutants import bad_outcome, bad_route, good_outcome, good_route

OK, INVALID = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT
# What a request of any content may meet: never INTERNAL, UNKNOWN or UNAVAILABLE.
POSSIBLE = frozenset(
    {
        OK,
        INVALID,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
SCORE = "/pointsman.v1.ScoringService/ScoreGenerations"
STREAM = SCORE + "Stream"
IMPORT = "/pointsman.v1.AdminService/ImportSamples"
ROUTE = "/pointsman.v1.RoutingService/RoutePrompt"
RECORD = "/pointsman.v1.RoutingService/RecordOutcome"
MESSAGES: dict[str, type[Message]] = {
    SCORE: scoring.ScoreGenerationsRequest,
    STREAM: scoring.ScoreGenerationsStreamRequest,
    IMPORT: admin.ImportSamplesRequest,
    ROUTE: routing.RoutePromptRequest,
    ROUTE + "Stream": routing.RoutePromptStreamRequest,
    RECORD: routing.RecordOutcomeRequest,
    "/pointsman.v1.AdminService/ListRouters": admin.ListRoutersRequest,
    "/pointsman.v1.AdminService/GetRouter": admin.GetRouterRequest,
    "/pointsman.v1.AdminService/ReloadRouter": admin.ReloadRouterRequest,
    "/pointsman.v1.AdminService/GetPool": admin.GetPoolRequest,
    "/pointsman.v1.AdminService/DeletePool": admin.DeletePoolRequest,
    "/pointsman.v1.AdminService/ListPools": admin.ListPoolsRequest,
    "/pointsman.v1.AdminService/ExportSamples": admin.ExportSamplesRequest,
}
_Request = scoring.ScoreGenerationsRequest


@dataclass(frozen=True)
class Mutant:
    """One call: the bytes of its messages, and the codes that are right for it."""

    method: str
    raws: tuple[bytes, ...]
    right: frozenset[grpc.StatusCode]


@dataclass
class Outcome:
    """What came of a run."""

    codes: Counter[grpc.StatusCode] = field(default_factory=Counter)
    wrong: list[tuple[Mutant, grpc.StatusCode]] = field(default_factory=list)


def mutants(seed: int) -> Iterator[Mutant]:
    """Yields mutants for ever, the same for the same seed."""
    rng = random.Random(seed)
    kinds = (
        _with_bad_fields,
        _with_good_fields,
        _with_bad_bytes,
        _noise,
        _with_bad_import,
        _routing,
    )
    while True:
        yield rng.choice(kinds)(rng)


def throw(channel: grpc.Channel, seed: int, requests: int) -> Outcome:
    """Throws mutants at a server, one after the other."""
    outcome = Outcome()
    for _, mutant in zip(range(requests), mutants(seed), strict=False):
        code = _code_of(channel, mutant)
        outcome.codes[code] += 1
        if code not in mutant.right:
            outcome.wrong.append((mutant, code))
    return outcome


def _code_of(channel: grpc.Channel, mutant: Mutant) -> grpc.StatusCode:
    # gRPC's wire form is the same for streams, of which a unary call is the shortest.
    call = channel.stream_stream(mutant.method, lambda raw: raw, lambda raw: raw)
    try:
        list(call(iter(mutant.raws), timeout=60))
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return OK


def _with_good_fields(rng: random.Random) -> Mutant:
    request = _valid(rng, "good")
    for change in rng.sample(_HARMLESS, rng.randint(1, 3)):
        change(request, rng)
    return Mutant(SCORE, (request.SerializeToString(),), frozenset({OK}))


def _with_bad_fields(rng: random.Random) -> Mutant:
    request = _valid(rng, "good")
    for change in rng.sample(_HARMLESS, rng.randint(0, 2)):
        change(request, rng)
    rng.choice(_HARMFUL)(request, rng)
    return Mutant(SCORE, (request.SerializeToString(),), frozenset({INVALID}))


def _with_bad_bytes(rng: random.Random) -> Mutant:
    method = rng.choice([SCORE] * 4 + list(MESSAGES))
    request = _valid(rng, "wild")
    if method == STREAM:
        item = scoring.ScoreGenerationsStreamRequest(id=rng.getrandbits(64), request=request)
        return _mutant(method, [_bent(item, rng), _bent(item, rng)])
    return _mutant(method, [_bent(request, rng)])


def _routing(rng: random.Random) -> Mutant:
    method, make, right = rng.choice(
        (
            (ROUTE, good_route, OK),
            (ROUTE, bad_route, INVALID),
            (RECORD, good_outcome, OK),
            (RECORD, bad_outcome, INVALID),
        )
    )
    request = make(rng)
    if rng.random() < 0.3:
        return _mutant(method, [_bent(request, rng)])
    return Mutant(method, (request.SerializeToString(),), frozenset({right}))


def _with_bad_import(rng: random.Random) -> Mutant:
    messages = _import(rng)
    place = rng.randrange(len(messages))
    if rng.random() < 0.5:
        item = messages[place]
        # An empty sample where the header was is a change as well.
        changed = item.outcome if item.WhichOneof("item") == "outcome" else item.sample
        rng.choice(_IMPORT_CHANGES)(changed, rng)
        return _mutant(IMPORT, [each.SerializeToString() for each in messages])
    raws = [each.SerializeToString() for each in messages]
    raws[place] = _bent(messages[place], rng)
    return _mutant(IMPORT, raws)


def _bent(message: Message, rng: random.Random) -> bytes:
    raw = bytearray(message.SerializeToString())
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(len(raw) + 1)
        match rng.randrange(4):
            case 0:
                raw[place:place] = rng.randbytes(rng.randint(1, 8))
            case 1:
                del raw[place : place + rng.randint(1, 16)]
            case 2:
                raw[place : place + 1] = rng.randbytes(1)
            case 3:
                raw += raw[place : place + 32]
    return bytes(raw)


def _noise(rng: random.Random) -> Mutant:
    return _mutant(rng.choice(list(MESSAGES)), [rng.randbytes(rng.randrange(200))])


def _mutant(method: str, raws: list[bytes]) -> Mutant:
    right = POSSIBLE
    for place, raw in enumerate(raws):
        try:
            MESSAGES[method].FromString(raw)
        except (DecodeError, ValueError):
            # What came before it may have been refused for another reason.
            right = frozenset({INVALID}) if place == 0 else POSSIBLE - {OK}
            break
    return Mutant(method, tuple(raws), right)


def _valid(rng: random.Random, pools: str) -> _Request:
    """A valid request of small vectors; what may become anything must stay out of good pools."""
    dimension = rng.choice((1, 2, 8))
    return _Request(
        pool=f"{pools}-{dimension}",
        prompt=types_pb2.Prompt(vector=_vector(rng, dimension)),
        generations=[
            scoring.Generation(voter=f"v{index}", vector=_vector(rng, dimension))
            for index in range(rng.randint(1, 6))
        ],
    )


def _import(rng: random.Random) -> list[admin.ImportSamplesRequest]:
    space = admin.EmbeddingSpace(id="vectors/caller", dimension=2)
    header = admin.SamplesHeader(pool=f"import-{rng.randrange(3)}", space=space)
    return (
        [admin.ImportSamplesRequest(header=header)]
        + [
            admin.ImportSamplesRequest(
                sample=admin.Sample(
                    sample_id=str(rng.getrandbits(64)),
                    prompt=_vector(rng, 2),
                    voters=["a", "b", "c"],
                    distances_float32_le=struct.pack("<3f", 1, 2, 3),
                    features_float32_le=struct.pack("<6f", 1, 2, 3, 4, float("nan"), 6),
                )
            )
            for _ in range(3)
        ]
        + [_import_outcome(rng)]
    )


def _import_outcome(rng: random.Random) -> admin.ImportSamplesRequest:
    outcome = admin.Outcome(
        outcome_id=str(rng.getrandbits(64)),
        model=rng.choice("abz"),
        quality=rng.random(),
        sample_id=rng.choice(("", "s")),
        prompt=_vector(rng, 2),
        voters=["a", "b"],
        distances_float32_le=struct.pack("<f", 1),
        features_float32_le=struct.pack("<4f", 1, 2, 3, 4),
    )
    return admin.ImportSamplesRequest(outcome=outcome)


_Item = admin.Sample | admin.Outcome


def _time(item: _Item) -> Timestamp:
    return item.record_time if isinstance(item, admin.Outcome) else item.learn_time


_IMPORT_CHANGES: list[Callable[[_Item, random.Random], None]] = [
    lambda item, rng: setattr(
        _time(item), "seconds", rng.choice((-1, 10**17, -(10**17), 253_402_300_799))
    ),
    lambda item, rng: setattr(_time(item), "nanos", rng.choice((-1, 2**31 - 1, 999))),
    lambda item, rng: setattr(item, "features_float32_le", rng.randbytes(rng.choice((8, 16, 24)))),
    lambda item, _: item.ClearField("features_float32_le"),
    lambda item, _: item.ClearField("distances_float32_le"),
    lambda item, _: item.voters.append("a"),
    lambda item, _: item.ClearField("voters"),
    lambda item, rng: setattr(item, "distances_float32_le", rng.randbytes(12)),
    lambda item, _: setattr(item, "sample_id", ""),
    lambda item, rng: item.prompt.CopyFrom(_not_finite(rng)),
]


def _vector(rng: random.Random, dimension: int) -> types_pb2.Vector:
    values = [rng.choice((0.0, 1.0, rng.gauss(0, 1), 1e-30, 1e15)) for _ in range(dimension)]
    if rng.random() < 0.5:
        return types_pb2.Vector(values=values)
    return types_pb2.Vector(float32_le=struct.pack(f"<{dimension}f", *values))


def _any(request: _Request, rng: random.Random) -> scoring.Generation:
    return rng.choice(request.generations)


def _same_answers(request: _Request, _: random.Random) -> None:
    for generation in request.generations:
        generation.vector.CopyFrom(request.generations[0].vector)


def _zero(request: _Request, _: random.Random) -> None:
    for vector in (request.prompt.vector, *(each.vector for each in request.generations)):
        size = len(vector.values) or len(vector.float32_le) // 4
        vector.CopyFrom(types_pb2.Vector(float32_le=bytes(4 * size)))


def _flag(name: str, *values: object) -> Callable[[_Request, random.Random], None]:
    return lambda request, rng: setattr(request, name, rng.choice(values))


_HARMLESS: list[Callable[[_Request, random.Random], None]] = [
    _flag("learn", True),
    _flag("estimator", 0, 1, 2, 3, 4, 5),
    _flag("neighbours", 1, 2, 20, 1000),
    _flag("sample_id", "", "again", "x" * 200),
    _same_answers,
    _zero,
    lambda request, rng: setattr(_any(request, rng), "voter", rng.choice(("v0", "名", "a b/c:1"))),
    lambda request, rng: request.generations.extend([_any(request, rng)] * rng.randint(1, 40)),
    lambda request, rng: request.MergeFromString(b"\xf8\x7f" + bytes([rng.randrange(128)])),
]
_HARMFUL: list[Callable[[_Request, random.Random], None]] = [
    _flag("pool", " ", "!", "é", "a" * 200, "../x y"),
    _flag("neighbours", 0, 1001, 2**32 - 1),
    _flag("estimator", 6, 99, -1, 2**31 - 1),
    _flag("embedding", 2, 3, -1),
    _flag("embedding_space", "x" * 300, "a\x00b"),
    _flag("sample_id", "x" * 300, "a\nb"),
    lambda request, _: request.ClearField("prompt"),
    lambda request, _: request.ClearField("generations"),
    lambda request, rng: _any(request, rng).ClearField("content"),
    lambda request, rng: setattr(_any(request, rng), "voter", rng.choice(("", "v" * 300, "\x07"))),
    lambda request, rng: setattr(_any(request, rng), "text", "text among vectors"),
    lambda request, rng: _any(request, rng).vector.CopyFrom(_not_finite(rng)),
    lambda request, rng: request.prompt.vector.CopyFrom(_not_finite(rng)),
    lambda request, rng: _any(request, rng).vector.CopyFrom(types_pb2.Vector()),
    lambda request, rng: _any(request, rng).vector.CopyFrom(types_pb2.Vector(values=[1.0] * 3)),
    lambda request, rng: setattr(_any(request, rng).vector, "float32_le", rng.randbytes(7)),
    lambda request, rng: request.generations.extend([_any(request, rng)] * 65),
]


def _not_finite(rng: random.Random) -> types_pb2.Vector:
    bad = rng.choice((float("nan"), float("inf"), -float("inf"), 3e38))
    return types_pb2.Vector(values=[1.0, bad])
