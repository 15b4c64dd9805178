"""What waits for the encoder: each text is handed out once, in like company, in fair turns."""

import asyncio
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.batches import Limits, group_by_length
from encoders.tokeniser import Tokens
from server.tickets import Ticket
from server.waiting import Waiting

LIMITS = Limits(padded_tokens=64, padding=4, batch_tokens=64)


def cut(tokens):
    return group_by_length(np.array([len(each.ids) for each in tokens]), LIMITS)


def ticket_of(lengths) -> Ticket:
    future: asyncio.Future[None] = Future()  # type: ignore[assignment]  needs no loop
    ticket = Ticket((), future, 0)
    ticket.hold([Tokens(np.zeros(length, np.int64), False) for length in lengths], 2)
    return ticket


def lengths_of(run) -> list[int]:
    return [len(unit.tokens.ids) for unit in run]


def handed_out(waiting: Waiting):
    while run := waiting.next_run():
        yield run


def test_the_texts_of_a_batch_come_in_runs_of_like_length_shortest_first():
    waiting = Waiting(100, cut)
    for length in (20, 3, 22, 2):
        waiting.add(ticket_of([length]))
    assert [lengths_of(run) for run in handed_out(waiting)] == [[2, 3], [20, 22]]


def test_the_texts_of_one_request_come_longest_first():
    waiting = Waiting(100, cut)
    waiting.add(ticket_of([20, 3, 22, 2]))
    assert [lengths_of(run) for run in handed_out(waiting)] == [[20, 22], [2, 3]]


def test_who_comes_while_a_batch_is_handed_out_is_in_the_next():
    waiting = Waiting(100, cut)
    for length in (20, 3):
        waiting.add(ticket_of([length]))
    first = waiting.next_run()
    waiting.add(ticket_of([2]))
    assert [lengths_of(run) for run in (first, *handed_out(waiting))] == [[3], [20], [2]]


def test_a_batch_stays_within_its_budget_unless_one_text_is_larger():
    waiting = Waiting(5, lambda tokens: [range(len(tokens))])
    waiting.add(ticket_of([3, 2, 8, 1]))
    assert [lengths_of(run) for run in handed_out(waiting)] == [[3, 2], [8], [1]]


def test_a_request_of_a_few_texts_is_served_whole_before_the_next():
    waiting = Waiting(100, lambda tokens: [range(len(tokens))])
    both = [ticket_of([30] * 3), ticket_of([30] * 3)]
    for ticket in both:
        waiting.add(ticket)
    first = waiting.next_run()
    assert [unit.ticket for unit in first] == [both[0]] * 3


@pytest.mark.parametrize(
    ("lengths", "before", "texts"),
    [([64] * 40, 4, 1 + 15), ([0] * 600, 256, 1 + 600)],
    ids=["of many tokens", "of texts without a known word"],
)
def test_a_long_request_makes_way_when_its_turn_is_over(lengths, before, texts):
    waiting = Waiting(1024, lambda tokens: [range(len(tokens))])
    long, short = ticket_of(lengths), ticket_of([8])
    waiting.add(long)
    waiting.add(short)
    first = waiting.next_run()
    # 256 tokens of the long one, then the short one, and the long one again.
    assert [unit.ticket for unit in first].index(short) == before
    assert len(first) == texts


def test_who_gave_up_is_in_no_run_and_counts_once():
    waiting = Waiting(100, cut)
    gone, here = ticket_of([3, 20, 80]), ticket_of([20])
    waiting.add(gone)
    waiting.add(here)
    assert lengths_of(waiting.next_run()) == [20]
    gone.future.cancel()
    assert [[unit.ticket for unit in run] for run in handed_out(waiting)] == [[here]]
    assert waiting.dropped == 1
    assert not waiting


REQUESTS = st.lists(
    st.tuples(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.booleans()), max_size=12
)


@given(REQUESTS, st.integers(1, 80), st.data())
def test_each_text_is_handed_out_once_whoever_gives_up(requests, batch_tokens, data):
    waiting = Waiting(batch_tokens, cut)
    tickets = [ticket_of(lengths) for lengths, _ in requests]
    late = data.draw(st.integers(0, len(tickets)))
    for ticket in tickets[:late]:
        waiting.add(ticket)
    found = []
    if run := waiting.next_run():
        found.append(run)
    for ticket, (_, gives_up) in zip(tickets, requests, strict=True):
        if gives_up:
            ticket.future.cancel()
    for ticket in tickets[late:]:
        waiting.add(ticket)
    found += handed_out(waiting)
    rows: dict[Ticket, list[int]] = {ticket: [] for ticket in tickets}
    for unit in (unit for run in found for unit in run):
        assert unit.tokens.ids.size == requests[tickets.index(unit.ticket)][0][unit.row]
        rows[unit.ticket].append(unit.row)
    for ticket, (lengths, gives_up) in zip(tickets, requests, strict=True):
        everything = list(range(len(lengths)))
        assert sorted(rows[ticket]) == everything or gives_up
        assert set(rows[ticket]) <= set(everything)
        assert len(set(rows[ticket])) == len(rows[ticket])
    for run in found:
        assert sum(lengths_of(run)) <= batch_tokens or len(run) == 1
        assert list(map(list, cut([unit.tokens for unit in run]))) == [list(range(len(run)))]
    assert not waiting
    assert waiting.dropped <= sum(gives_up for _, gives_up in requests)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(0, 29))
def test_whose_turn_comes_is_no_later_for_those_who_come_after(lengths, mine):
    """A request is in the batch in which it would be if nobody had come after it."""
    mine %= len(lengths)

    def batches_before(number: int) -> int:
        waiting = Waiting(50, lambda tokens: [range(len(tokens))])
        tickets = [ticket_of([length]) for length in lengths[:number]]
        for ticket in tickets:
            waiting.add(ticket)
        for count, run in enumerate(handed_out(waiting)):
            if tickets[mine] in [unit.ticket for unit in run]:
                return count
        raise AssertionError

    assert batches_before(len(lengths)) == batches_before(mine + 1)
