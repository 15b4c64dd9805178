"""A pool from the log: its rows at once, its graphs as `scoring.memory.graphs` has them."""

from collections import defaultdict

import numpy as np

from scoring.memory.graphs import GraphLoader
from scoring.memory.log import Log, PoolRecord, columns_of
from scoring.memory.outcomes.judged import JudgedLog, unknown_features
from scoring.memory.outcomes.ledger import Ledger
from scoring.memory.outcomes.log import OutcomeLog
from scoring.memory.pool import Pool
from scoring.memory.snapshots import Snapshots
from scoring.memory.values import MemorySettings


def load_pool(log: Log, snapshots: Snapshots, record: PoolRecord, settings: MemorySettings) -> Pool:
    """Brings a pool back as the log has it."""
    pool = Pool(record, settings)
    graphs = GraphLoader(log.graphs, snapshots, settings)
    graphs.load(pool.neighbours, _load_agreements(log, pool))
    graphs.load(pool.outcomes.neighbours, _load_outcomes(log.outcomes, record.id, pool.outcomes))
    _load_answers(log.judged, record.id, pool.outcomes)
    return pool


def _load_agreements(log: Log, pool: Pool) -> list[int]:
    """Fills the table of a pool; returns the numbers of its live samples, ascending."""
    live: list[int] = []
    for chunk in log.agreements(pool.id):
        samples, rows = defaultdict(list), defaultdict(list)
        for seq, sample_id, learned_at, voters, pairs in chunk:
            live.append(seq)
            samples[voters].append((seq, sample_id, learned_at))
            rows[voters].append(pairs)
        for voters, group in samples.items():
            pool.admit_stored(group, columns_of(voters), b"".join(rows[voters]))
    return live


def _load_outcomes(log: OutcomeLog, pool: int, ledger: Ledger) -> list[int]:
    """Fills the table of a ledger; returns the numbers of its live subjects, ascending."""
    live: list[int] = []
    for subjects in log.subjects(pool):
        ledger.admit_stored(subjects)
        live += [seq for seq, _, _ in subjects]
    for outcomes in log.outcomes(pool):
        seqs, columns, qualities = zip(*outcomes, strict=True)
        ledger.add_stored(
            np.array(seqs, np.int64), np.array(columns, np.int64), np.array(qualities, np.float64)
        )
    return live


def _load_answers(log: JudgedLog, pool: int, ledger: Ledger) -> None:
    """Tells a ledger how the answers to its subjects lay."""
    for chunk in log.answers(pool):
        seqs, pairs, features = defaultdict(list), defaultdict(list), defaultdict(list)
        for seq, voters, distances, measured in chunk:
            seqs[voters].append(seq)
            pairs[voters].append(distances)
            features[voters].append(measured or unknown_features(voters))
        for voters, group in seqs.items():
            rows = b"".join(pairs[voters]), b"".join(features[voters])
            ledger.attach_stored(group, columns_of(voters), *rows)
