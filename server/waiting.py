"""Texts that wait for the encoder, and which of them are encoded next."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from encoders import Tokens
from server.tickets import Ticket, Unit

_TURN_TOKENS = 256

Cut = Callable[[Sequence[Tokens]], Iterable[Sequence[int]]]
"""Chooses which of n texts share a run of the model: indexes, each in exactly one run."""


class Waiting:
    """Forms batches of what waits, and hands them out run by run.

    Requests take turns of a few hundred tokens: most are served whole and in the order in which
    they came, and a long one, which takes more turns, does not hold up the others. The runs of a
    batch are handed out as they are cut, shortest first, but those of one request from the
    longest. Who comes while the runs of a batch are handed out is in the next batch, however short.

    Not for threads: who uses it has the lock.

    Args:
        batch_tokens: Most tokens of one batch; a single longer text is a batch by itself.
        cut: Cuts a batch into runs.
    """

    def __init__(self, batch_tokens: int, cut: Cut) -> None:
        self._batch_tokens = batch_tokens
        self._turn_tokens = min(batch_tokens, _TURN_TOKENS)
        self._cut = cut
        self._tickets: deque[Ticket] = deque()
        self._runs: deque[list[Unit]] = deque()
        self._taken = 0  # tokens in the turn of the first ticket
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._tickets) + len(self._runs)

    def __iter__(self) -> Iterator[Ticket]:
        """Yields requests that have texts in no batch yet."""
        return iter(self._tickets)

    def add(self, ticket: Ticket) -> None:
        """Takes in a request whose texts are tokenised."""
        self._tickets.append(ticket)

    def next_run(self) -> list[Unit]:
        """Takes out what is to be encoded next; nothing where nobody waits any more."""
        while self._runs or self._cut_batch():
            if run := [unit for unit in self._runs.popleft() if not self._has_left(unit.ticket)]:
                return run
        return []

    def _cut_batch(self) -> bool:
        """Forms a batch and cuts it; returns whether there was anything to cut."""
        if batch := self._form_batch():
            runs = [[batch[at] for at in run] for run in self._cut([unit.tokens for unit in batch])]
            if all(unit.ticket is batch[0].ticket for unit in batch):
                # Who waits for all of them has them soonest where threads end together.
                runs.reverse()
            self._runs.extend(runs)
        return bool(batch)

    def _form_batch(self) -> list[Unit]:
        batch: list[Unit] = []
        room = self._batch_tokens
        while self._tickets:
            ticket = self._tickets[0]
            if self._has_left(ticket) or not ticket.pending:
                self._tickets.popleft()
                self._taken = 0
                continue
            row, tokens = ticket.pending[0]
            if batch and max(1, len(tokens.ids)) > room:
                break
            batch.append(Unit(ticket, row, tokens))
            taken = max(1, len(tokens.ids))  # none of its words may be known
            room -= taken
            ticket.pending.popleft()
            self._count_turn(ticket, taken)
        return batch

    def _count_turn(self, ticket: Ticket, tokens: int) -> None:
        """Notes what was taken of the first ticket, which makes way where that was enough."""
        self._taken += tokens
        if not ticket.pending:
            self._tickets.popleft()
            self._taken = 0
        elif self._taken >= self._turn_tokens:
            self._tickets.rotate(-1)
            self._taken = 0

    def _has_left(self, ticket: Ticket) -> bool:
        """Whether nobody waits for a request any more; counts those who gave up, once each."""
        if ticket.future.cancelled() and not ticket.dropped:
            ticket.dropped = True
            self.dropped += 1
        return ticket.future.done()
