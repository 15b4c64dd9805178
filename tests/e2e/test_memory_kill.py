from benchmarks.memory_kill import kill_rounds


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path):
    tally = kill_rounds(tmp_path / "memory", rounds=5, seed=1)
    assert tally.acknowledged
    assert tally.checked
    assert tally.recorded
    assert tally.outcomes_checked
    assert tally.answers_checked
    assert tally.lost == set()
    assert tally.not_recalled == set()
