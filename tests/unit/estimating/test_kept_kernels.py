import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scoring.kernels.kept import compilation_hash

ROOT = Path(__file__).parents[3]
# A process of its own: what is compiled once in this one stays.
_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from scoring.kernels.recall import squared_norm
from scoring.kernels.kept import keep_compiled
folder = keep_compiled(Path(sys.argv[1]))
vectors = np.arange(15, dtype=np.float32).reshape(5, 3) / 7
print(folder is not None, sum(squared_norm.stats.cache_hits.values()))
print(squared_norm(vectors[1]).hex())
print(sum(squared_norm.stats.cache_hits.values()) if folder else 0)
"""


def run(directory, root=ROOT):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SCRIPT, str(directory)],
        capture_output=True, text=True, cwd=root, check=True,
    )  # fmt: skip
    begun, result, hits = done.stdout.splitlines()
    return begun.startswith("True"), result, int(hits), done.stderr


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kept")
    return directory, run(directory)


def damaged(first, tmp_path, damage):
    directory = tmp_path / "kernels"
    shutil.copytree(first[0], directory)
    for file in directory.glob("*/*"):
        file.write_bytes(damage(file.read_bytes()))
    return directory


def test_a_later_process_loads_what_the_first_compiled_and_computes_the_same(first):
    directory, (kept, result, hits, _) = first
    assert (kept, hits) == (True, 0)
    assert run(directory) == (True, result, 1, "")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    ],
    ids=["truncated", "empty", "one bit"],
)
def test_a_damaged_file_is_told_and_written_again(first, tmp_path, damage):
    directory = damaged(first, tmp_path, damage)
    _, result, hits, log = run(directory)
    assert (result, hits) == (first[1][1], 0)
    assert "is not read, so the kernel is compiled" in log
    assert run(directory) == (True, result, 1, "")


def test_a_directory_that_cannot_be_made_keeps_nothing_and_nothing_fails(first, tmp_path):
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file" / "kernels") == (False, first[1][1], 0, "")


def test_a_folder_that_others_may_write_to_is_not_read(first, tmp_path):
    directory = damaged(first, tmp_path, lambda content: content)
    for folder in directory.iterdir():
        folder.chmod(0o777)
    kept, result, _, log = run(directory)
    assert (kept, result) == (False, first[1][1])
    assert "may be written by others" in log


def test_a_change_of_any_source_is_another_folder(tmp_path):
    package = tmp_path / "scoring"
    shutil.copytree(ROOT / "scoring", package, ignore=shutil.ignore_patterns("__pycache__"))
    before = compilation_hash(package)
    assert before == compilation_hash(ROOT / "scoring")
    pairs = package / "pairs.py"  # holds a function that kernels call, outside the kernels
    pairs.write_text(pairs.read_text() + "\n")
    assert compilation_hash(package) != before


def test_a_changed_function_that_a_kernel_calls_is_not_served_stale(first, tmp_path):
    package = tmp_path / "scoring"
    shutil.copytree(ROOT / "scoring", package, ignore=shutil.ignore_patterns("__pycache__"))
    compilation = package / "kernels" / "compilation.py"
    compilation.write_text(compilation.read_text() + "\n")
    _, result, hits, _ = run(first[0], tmp_path)
    assert (result, hits) == (first[1][1], 0)
    assert len(list(first[0].iterdir())) == 2


def test_folders_unused_for_long_are_swept_when_one_is_made(tmp_path):
    directory = tmp_path / "kernels"
    old, young, others = directory / ("0a" * 8), directory / ("0b" * 8), directory / "photographs"
    for folder in (old, young, others):
        folder.mkdir(parents=True)
    for folder in (old, others):
        os.utime(folder, (0, 0))
    run(directory)
    assert not old.exists()
    assert young.exists()
    assert others.exists()  # is no folder of kernels
