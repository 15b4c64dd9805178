"""Traffic that nobody has seen before: a router, and requests whose texts are all different."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders import embedded_encoder, write_artefact
from encoders.artefact.bundle import Artefact
from encoders.artefact.manifest import ManifestDraft, ModelEntry
from pointsman.v1 import routing_service_pb2 as routing
from pointsman.v1 import scoring_service_pb2 as scoring
from pointsman.v1 import types_pb2 as types
from server.settings import EncoderSettings

ROUTE = "/pointsman.v1.RoutingService/RoutePrompt"
SCORE = "/pointsman.v1.ScoringService/ScoreGenerations"
RECORD = "/pointsman.v1.RoutingService/RecordOutcome"
LENGTHS = (8, 16, 32, 64, 128)
"""Tokens of the texts, in turn, special ones included: 50 on average."""
MODELS = tuple(f"model-{number}" for number in range(5))
DIMENSION = 384
POOL = "vectors"
"""Of the requests that carry vectors."""
SPACE = "benchmark"
_SPECIAL_TOKENS = 2
# Each is one token of BERT's vocabulary.
_TEXT = (
    "the of and to in is that it was for on are as with his they at be this from have or by one "
    "had not but what all were when we there can an your which their said if do will each about "
    "how up out them then she many some so these would other into has more her two like him see "
    "time could no make than first been its who now people my made over did down only way find "
    "use may water long little very after words called just where most know"
)
_WORDS = _TEXT.split()


def write_router(folder: Path) -> Artefact:
    """Writes a router over the embedded encoder, as if it had been trained, into a folder."""
    embeddings = np.random.default_rng(0).standard_normal((len(MODELS), DIMENSION), np.float32)
    draft = ManifestDraft(
        kind="routerdc",
        models=tuple(ModelEntry(name=name) for name in MODELS),
        encoder_name="all-MiniLM-L6-v2",
    )
    encoder = embedded_encoder(EncoderSettings().cache.expanduser())
    return write_artefact(folder, draft, {"llm_embeddings": embeddings}, encoder)


def texts(seed: int) -> Iterator[str]:
    """Yields texts for ever, the lengths in turn."""
    words = random.Random(seed)  # noqa: S311 — no secret
    while True:
        for tokens in LENGTHS:
            yield " ".join(words.choices(_WORDS, k=tokens - _SPECIAL_TOKENS))


def route_requests(count: int, seed: int = 0) -> list[bytes]:
    """Makes requests to RoutePrompt, each with one text."""
    prompts = (types.Prompt(text=text) for _, text in zip(range(count), texts(seed), strict=False))
    return [routing.RoutePromptRequest(prompt=each).SerializeToString() for each in prompts]


def score_text_requests(
    count: int,
    seed: int = 0,
    *,
    estimator: "scoring.Estimator.ValueType" = scoring.ESTIMATOR_UNSPECIFIED,
    learn: bool = False,
) -> list[bytes]:
    """Makes requests to ScoreGenerations with six texts: a prompt and an answer of each model."""
    return [
        scoring.ScoreGenerationsRequest(
            estimator=estimator,
            learn=learn,
            prompt=types.Prompt(text=prompt),
            generations=[
                scoring.Generation(voter=name, text=answer)
                for name, answer in zip(MODELS, answers, strict=True)
            ],
        ).SerializeToString()
        for prompt, *answers in sixes(count, seed)
    ]


def sixes(count: int, seed: int = 0) -> list[list[str]]:
    """Returns lists of a prompt and an answer for each model."""
    source = texts(seed)
    return [[next(source) for _ in range(1 + len(MODELS))] for _ in range(count)]


def score_vector_requests(
    count: int,
    seed: int = 0,
    *,
    learn: bool = False,
    prompts: NDArray[np.float32] | None = None,
) -> list[bytes]:
    """Makes requests to ScoreGenerations with vectors; those that learn are named s0, s1, ...

    Args:
        count: How many.
        seed: Of the vectors.
        learn: Whether they ask to learn.
        prompts: (n, d) to take in turn in place of made-up ones.
    """
    generator, made = np.random.default_rng(seed), []
    for number in range(count):
        vectors = generator.standard_normal((1 + len(MODELS), DIMENSION), np.float32)
        if prompts is not None:
            vectors[0] = prompts[number % len(prompts)]
        prompt, *answers = map(_vector, vectors)
        request = scoring.ScoreGenerationsRequest(
            pool=POOL,
            prompt=types.Prompt(vector=prompt),
            embedding_space=SPACE,
            learn=learn,
            sample_id=f"s{number}" if learn else "",
            generations=[
                scoring.Generation(voter=name, vector=answer)
                for name, answer in zip(MODELS, answers, strict=True)
            ],
        )
        made.append(request.SerializeToString())
    return made


def route_vector_requests(prompts: NDArray[np.float32], router: str) -> list[bytes]:
    """Makes requests to RoutePrompt of one router, each with a vector (d,) of (n, d)."""
    return [
        routing.RoutePromptRequest(
            router=router, prompt=types.Prompt(vector=_vector(prompt)), embedding_space=SPACE
        ).SerializeToString()
        for prompt in prompts
    ]


def outcome_requests(count: int, samples: int, seed: int = 0) -> list[bytes]:
    """Makes requests to RecordOutcome, of the samples that `score_vector_requests` named."""
    generator = np.random.default_rng(seed)
    return [
        routing.RecordOutcomeRequest(
            pool=POOL,
            sample_id=f"s{number % samples}",
            model=MODELS[number // samples % len(MODELS)],
            quality=generator.random(),
        ).SerializeToString()
        for number in range(count)
    ]


def _vector(values: NDArray[np.float32]) -> types.Vector:
    return types.Vector(float32_le=values.astype("<f4").tobytes())
