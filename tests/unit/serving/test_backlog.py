"""How long what waits for the encoder takes, and who is refused for it."""

import pytest

from server.backlog import Backlog
from server.errors import OverloadedError


def test_who_has_less_than_twice_the_time_that_it_takes_is_refused():
    backlog = Backlog()
    backlog.measured(1000, 1.0)
    backlog.add(900)
    backlog.require_time([60, 40], 2.1)
    backlog.require_time([60, 40], None)
    with pytest.raises(OverloadedError) as refused:
        backlog.require_time([60, 40], 1.9)
    assert refused.value.retry_after == pytest.approx(0.11)
    assert backlog.refused == 1


def test_nobody_is_refused_where_nothing_waits():
    backlog = Backlog()
    backlog.measured(10, 10.0)
    backlog.require_time([1000], 0.001)


def test_a_stretch_of_few_tokens_says_little_of_the_pace():
    long, short = Backlog(), Backlog()
    for backlog, tokens in ((long, 256), (short, 16)):
        backlog.measured(1000, 1.0)
        backlog.measured(tokens, tokens * 0.002)
    assert long.seconds([1000]) == pytest.approx(1.1)
    assert short.seconds([1000]) == pytest.approx(1 + 0.1 / 16)


def test_threads_share_the_texts_of_a_request_but_not_a_text():
    backlog = Backlog(workers=4)
    backlog.measured(1000, 1.0)
    backlog.add(400)
    assert backlog.seconds([100] * 8) == pytest.approx(0.1 + 0.2)
    assert backlog.seconds([700, 100]) == pytest.approx(0.1 + 0.7)
    assert backlog.seconds() == pytest.approx(0.1)
