"""How fast the backlog is worked through: by stretches, and not by runs."""

from unittest.mock import Mock

import pytest

from server import pace as pace_module
from server.pace import Pace


@pytest.fixture
def clock(monkeypatch):
    clock = Mock(return_value=0.0)
    monkeypatch.setattr(pace_module.time, "perf_counter", clock)
    return clock


def test_short_runs_are_measured_together_with_what_lies_between_them(clock):
    backlog = Mock()
    pace = Pace(backlog)
    for tokens, now in ((100, 1.0), (100, 2.0), (100, 4.0), (300, 5.0)):
        clock.return_value = now
        pace.add(tokens)
    assert [call.args for call in backlog.measured.call_args_list] == [(300, 4.0), (300, 1.0)]


def test_the_wait_for_work_does_not_count(clock):
    backlog = Mock()
    pace = Pace(backlog)
    clock.return_value = 1.0
    pace.add(10)
    pace.end()
    clock.return_value = 9.0
    pace.end()
    pace.start()
    clock.return_value = 10.0
    pace.add(20)
    pace.end()
    assert [call.args for call in backlog.measured.call_args_list] == [(10, 1.0), (20, 1.0)]
