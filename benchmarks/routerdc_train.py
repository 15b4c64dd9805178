"""Trains routers on RouterDC's training files, one for each seed and variant, and compares them.

    python -m benchmarks.routerdc_train FOLDER OUT [--only dc-s0 dc-s1] [--compare]

FOLDER holds `train/` in RouterDC's own JSON. Every variant is one `pointsman train`; all share the
same validation rows, a fifth of the training files, and no test file is looked at. A variant that
is in OUT already is not trained again; --compare trains nothing. What the routers are worth on the
test files is told by `benchmarks.routerdc`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from encoders.artefact.bundle import Artefact

COMMON = (
    "--count-positive mmlu --count-positive cmmlu --count-positive arc_challenge "
    "--validation-share 0.2 --targets counted --max-tokens 128 --warm-start 400 "
    "--warm-start-learning-rate 0.02 --embedding-learning-rate 1e-3 --encoder-learning-rate 5e-5"
)
SHARP = "--temperature 0.1 --positives 1"
LONG = "--freeze-layers 4 --steps 300 --evaluate-every 50"
SHORT = "--freeze-layers 5 --steps 200 --evaluate-every 40 --seed 0"

VARIANTS = {
    "dc_s0": f"routerdc {SHARP} {LONG} --sample-weight 0 --seed 0",
    "dc_s1": f"routerdc {SHARP} {LONG} --sample-weight 0 --seed 1",
    "dcss_s0": f"routerdc {SHARP} {LONG} --sample-weight 1 --seed 0",
    "dcss_s1": f"routerdc {SHARP} {LONG} --sample-weight 1 --seed 1",
    "ml_s0": f"multi-label {SHORT}",
    "zo_s0": f"zooter {SHORT} --temperature 0.2 --score-temperature 0.3",
    "cc_s0": f"cosine-classifier {SHORT} --temperature 0.1",
    "a_base": f"routerdc {SHARP} {SHORT} --sample-weight 1",
    "a_scores": f"routerdc {SHARP} {SHORT} --sample-weight 1 --targets scores",
    "a_paper": f"routerdc {SHORT} --temperature 1 --positives 3 --sample-weight 1",
    "a_cold": f"routerdc {SHARP} {SHORT} --sample-weight 1 --warm-start 0",
    "a_lr": f"routerdc {SHARP} {SHORT} --sample-weight 1 --encoder-learning-rate 2e-4",
    "a_cls": f"routerdc {SHARP} {SHORT} --sample-weight 1 --pooling cls",
    "a_b16": f"routerdc {SHARP} {SHORT} --sample-weight 1 --batch 16",
}
"""Method and options; what stands later wins over `COMMON`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--compare", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.only:
        if not arguments.compare and not (arguments.out / name / "manifest.json").exists():
            train(name, arguments.folder / "train", arguments.out / name)
    Console(width=140).print(comparison(arguments.out, arguments.only))


def train(name: str, data: Path, out: Path) -> None:
    method, *options = VARIANTS[name].split()
    command = [sys.executable, "-m", "server.cli", "train", method, "--data", str(data)]
    command += ["--out", str(out), *COMMON.split(), *options]
    subprocess.run(command, check=True)  # noqa: S603  our own


def comparison(out: Path, names: list[str]) -> Table:
    """Validation figures of the routers that are there, from their manifests."""
    table = Table(title="Validation, %", title_justify="left")
    table.add_column("variant")
    found = [(name, Artefact.load(out / name)) for name in names if (out / name).exists()]
    tasks = list(found[0][1].manifest.validation.accuracy) if found else []
    for column in ("average", *tasks, "best step", "minutes"):
        table.add_column(column, justify="right")
    for name, artefact in found:
        judged = artefact.manifest.validation
        lines = (artefact.directory / "metrics.jsonl").read_text().splitlines()
        history = [json.loads(line) for line in lines]
        best = max(history, key=lambda one: one["average"])
        figures = [judged.average, *(judged.accuracy[task] for task in tasks)]
        cells = [f"{100 * figure:.1f}" for figure in figures]
        table.add_row(name, *cells, str(best["step"]), f"{history[-1]['seconds'] / 60:.1f}")
    return table


if __name__ == "__main__":
    main()
