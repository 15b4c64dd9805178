import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
_NEEDED_ELSEWHERE = {
    "accelerate", "jinja2", "matplotlib", "onnx", "pandas", "pyarrow", "scoring.fitting",
    "encoders.training", "sklearn", "torch", "transformers",
}  # fmt: skip
_SCRIPT = """
import sys
import server.cli
early = {"grpc", "numba", "numpy", "onnxruntime"} & set(sys.modules)
import scoring.kernels.kept, server.lifecycle, server.logs, server.settings
print(*early)
print(*sys.modules)
"""


def test_serving_imports_nothing_that_only_other_commands_need():
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, cwd=ROOT, check=True
    )
    early, loaded = done.stdout.splitlines()
    # The thread pools of these are sized by variables that main() sets after it has been imported.
    assert early == ""
    assert "server.lifecycle" in loaded.split()
    assert set(loaded.split()) & _NEEDED_ELSEWHERE == set()
