"""Encoders in service, each with its batcher, shared by all that need the same one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from server.batcher import EncodeBatcher, TokenEncoder
from server.encoding import EncoderIdentity, ServedEncoder, TextEncoder
from server.parts import Parts
from server.recent_vectors import RecentVectors
from server.sharing import SharingEncoder
from server.threads import run_giving_way


class LoadedEncoder(TokenEncoder, Protocol):
    """What a batcher and a reply need of an encoder."""

    @property
    def revision(self) -> str:
        """Hash of its weights, tokenizer and pooling."""

    @property
    def batch_tokens(self) -> int:
        """Most tokens of a batch where the settings don't say."""

    @property
    def batches_at_a_time(self) -> int:
        """Batches that run at a time where the settings don't say."""


@dataclass(slots=True, eq=False)
class _Shelved:
    served: ServedEncoder
    batcher: EncodeBatcher
    life: asyncio.Task[None]
    borrowers: int = 0


class EncoderShelf:
    """Lends encoders by revision; one that nobody has any more is released with its batcher.

    Used from the event loop only.

    Args:
        parts: Runs the batchers.
        recent: Keeps the vectors of all encoders; with room for none, every text is encoded.
        batch_tokens: Most tokens of one batch; 0 for what the encoder says.
        batches: That run at a time; 0 for what the encoder says.
    """

    def __init__(
        self, parts: Parts, *, recent: RecentVectors, batch_tokens: int = 0, batches: int = 0
    ) -> None:
        self.recent = recent
        self._parts = parts
        self._batch_tokens = batch_tokens
        self._batches = batches
        self._shelved: dict[str, _Shelved] = {}
        self._leaving: list[EncodeBatcher] = []
        self._dropped = 0

    @property
    def revisions(self) -> list[str]:
        """Of the encoders that are lent."""
        return sorted(self._shelved)

    @property
    def dropped(self) -> int:
        """Texts of callers who had gone when their batch was formed."""
        return self._dropped + sum(each.batcher.dropped for each in self._shelved.values())

    @property
    def waiting_tokens(self) -> int:
        """Of texts that were taken in and have no vector yet. Any thread may ask."""
        return sum(batcher.backlog.tokens for batcher in self._batchers())

    @property
    def stuck(self) -> bool:
        """A batch was begun and has not come back."""
        return any(batcher.stuck for batcher in self._batchers())

    async def idle(self) -> None:
        """Waits until no batch is running."""
        for batcher in self._batchers():
            await batcher.idle()

    def lend(self, encoder: LoadedEncoder) -> ServedEncoder:
        """Lends an encoder, or the one of the same revision that is here already."""
        shelved = self._shelved.get(encoder.revision)
        if shelved is None:
            shelved = self._shelved[encoder.revision] = self._shelve(encoder)
        shelved.borrowers += 1
        return shelved.served

    async def borrow(self, revision: str, load: Callable[[], LoadedEncoder]) -> ServedEncoder:
        """Lends the encoder of a revision, loaded in a thread where it is not here already."""
        shelved = self._shelved.get(revision)
        if shelved is None:
            return self.lend(await run_giving_way(load))
        shelved.borrowers += 1
        return shelved.served

    def give_back(self, served: ServedEncoder) -> None:
        """Takes one loan back."""
        shelved = self._shelved[served.identity.revision]
        shelved.borrowers -= 1
        if not shelved.borrowers:
            del self._shelved[served.identity.revision]
            self._leaving.append(shelved.batcher)
            self._parts.start("leaving_encoder", partial(self._release, shelved))

    def _shelve(self, encoder: LoadedEncoder) -> _Shelved:
        batcher = EncodeBatcher(
            encoder,
            batch_tokens=self._batch_tokens or encoder.batch_tokens,
            batches=self._batches or encoder.batches_at_a_time,
        )
        identity = EncoderIdentity(encoder.revision, encoder.dimension, encoder.max_tokens)
        life = self._parts.start("batcher", batcher.run)
        sharing = self._sharing(batcher, encoder.dimension)
        return _Shelved(ServedEncoder(sharing, identity), batcher, life)

    def _sharing(self, batcher: EncodeBatcher, dimension: int) -> TextEncoder:
        if not self.recent.most_bytes:
            return batcher
        return SharingEncoder(batcher, self.recent, dimension=dimension)

    async def _release(self, shelved: _Shelved) -> None:
        # Its last caller may have given up while a batch was running.
        await shelved.batcher.idle()
        shelved.life.cancel()
        self._leaving.remove(shelved.batcher)
        self._dropped += shelved.batcher.dropped

    def _batchers(self) -> list[EncodeBatcher]:
        # Copied at once: who asks may be another thread.
        return [*(each.batcher for each in [*self._shelved.values()]), *self._leaving]
