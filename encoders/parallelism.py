"""How many threads encode one batch on a CPU, and how many batches are encoded at a time."""

from dataclasses import dataclass

# Beyond it a model of the size of MiniLM has too little work in one product to share out.
_MOST_THREADS = 4


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How the cores are shared out."""

    threads: int
    """Of a session, the one that calls it included."""
    batches: int
    """Encoded at a time, by one session."""


def share_cores(cores: int, threads: int = 0) -> Parallelism:
    """Chooses threads and batches for a CPU.

    Batches that run at a time share one session: each call works along, and takes of the
    session's other threads what is idle, so that a text alone has all of them. A second session
    would take its memory again and gain nothing.

    Measured on two cores with all-MiniLM-L6-v2, texts of 8 to 128 tokens. Throughput of two batches
    of one thread each, against one batch of two threads: 1.05 to 1.1 times, the same with two
    sessions as with one, but a text alone takes 1.6 times as long. Two batches over two threads:
    as much throughput as one, and a p99 that is a fifth longer at saturation. Hence as many
    threads as cores, and one batch. That more than four threads are too many for one text, and
    further cores are better given to further batches, is not measured; set them where it does
    not hold. Of a model whose texts each run alone, see `encoders.crowd`.

    Args:
        cores: That the process may use.
        threads: In place of the rule's, if not 0.
    """
    threads = threads or min(cores, _MOST_THREADS)
    return Parallelism(threads, batches=max(1, cores - threads + 1))
