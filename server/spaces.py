"""Which embedding space a request's vectors live in, and whether its pool has the same."""

from scoring.errors import PoolNotFoundError
from scoring.memory import EmbeddingSpace, Memory
from server.encoding import EncoderIdentity
from server.requests import PromptVector

_UNNAMED = "caller"
_ALONE = "/generation"
_JOINED = "/prompt-and-generation"


def vector_space(name: str, dimension: int) -> EmbeddingSpace:
    """Returns the space of vectors of a caller's own encoder, whether it has named it or not."""
    return EmbeddingSpace(f"vectors/{name or _UNNAMED}", dimension)


def text_space(identity: EncoderIdentity, *, joined: bool) -> EmbeddingSpace:
    """Returns the space of texts that an encoder of ours embeds.

    Args:
        identity: Of the encoder.
        joined: An answer is embedded together with its prompt. A prompt is always alone.
    """
    suffix = _JOINED if joined else _ALONE
    return EmbeddingSpace(f"encoder/{identity.revision}{suffix}", identity.dimension)


def is_joined(space: EmbeddingSpace) -> bool:
    """Whether the pools of a space embed answers together with their prompt."""
    return space.id.endswith(_JOINED)


def keeps_joined(memory: Memory, pool: str) -> bool:
    """Whether a pool is there and embeds answers together with their prompt."""
    # Asked once: it may be removed at any time.
    space = space_of(memory, pool)
    return space is not None and is_joined(space)


def space_of(memory: Memory, pool: str) -> EmbeddingSpace | None:
    """Returns the space of a pool; None where there is no pool."""
    try:
        return memory.space(pool)
    except PoolNotFoundError:
        return None


def prompt_space(
    memory: Memory, pool: str, identity: EncoderIdentity, prompt: str | PromptVector
) -> EmbeddingSpace:
    """Returns the space in which a prompt meets a pool."""
    if isinstance(prompt, PromptVector):
        return vector_space(prompt.space, len(prompt.vector))
    return text_space(identity, joined=keeps_joined(memory, pool))


def require_pool(memory: Memory, pool: str, space: EmbeddingSpace, *, create: bool) -> None:
    """Refuses vectors that a pool can't take, before any work is done for them.

    Raises:
        PoolNotFoundError: The pool is unknown and may not be created.
        SpaceMismatchError: The pool lives in another embedding space.
    """
    try:
        memory.require_space(pool, space)
    except PoolNotFoundError:
        if create:
            return
        raise PoolNotFoundError(
            f"No pool is named {pool!r} and this server creates none (memory.create_pools); "
            "name a pool that exists.",
            field="pool",
        ) from None


def pool_revision(memory: Memory, pool: str, kind: str) -> str:
    """Returns a text that changes with what a router over a pool learns; "0" without the pool.

    Args:
        memory: The pools.
        pool: That the router rests on.
        kind: Of the router. "knn" learns of outcomes, others of samples.
    """
    try:
        if kind == "knn":
            return ".".join(map(str, memory.outcome_revision(pool)))
        return str(memory.revision(pool))
    except PoolNotFoundError:
        return "0"
