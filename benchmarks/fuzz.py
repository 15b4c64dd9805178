"""How many mutated requests a running server answers wrongly, and whether it survives them.

python -m benchmarks.fuzz --requests 50000
"""

import argparse
import tempfile
import time
from pathlib import Path

import grpc

from tests.fuzzing import throw
from tests.server_process import ServerProcess


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    with ServerProcess(folder, "--log-level", "error") as server:
        began = time.perf_counter()
        with grpc.insecure_channel(server.target) as channel:
            outcome = throw(channel, arguments.seed, arguments.requests)
        seconds = time.perf_counter() - began
        crashed = 0 if server.alive() else 1
    codes = ", ".join(f"{code.name} {count}" for code, count in outcome.codes.most_common())
    print(f"requests {arguments.requests} in {seconds:.0f} s: {codes}")
    print(f"crashes {crashed}, wrong codes {len(outcome.wrong)}")
    for mutant, code in outcome.wrong[:10]:
        print(f"  {mutant.method} {[raw.hex() for raw in mutant.raws]} -> {code.name}")


if __name__ == "__main__":
    main()
