"""What a benchmark ran on."""

import importlib.metadata as metadata
import os
import platform
import subprocess
from pathlib import Path

from encoders.cpu import cpu_limit

ROOT = Path(__file__).parents[2]
_LIBRARIES = ("numpy", "numba", "hnswlib", "onnxruntime", "grpcio", "protobuf", "tokenizers")
# What changes how these run, of all that a processor can do.
_EXTENSIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


def machine() -> dict[str, str]:
    """Returns the processor, how many cores of it, the memory and the system, by name."""
    return {
        "cpu": _processor(),
        "cores": f"{cpu_limit()} of {os.cpu_count()}",
        "memory": f"{_memory_bytes() / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Returns the versions of Pointsman, Python and the libraries that matter, by name."""
    libraries = {name: metadata.version(name) for name in _LIBRARIES}
    return {"pointsman": _revision(), "python": platform.python_version(), **libraries}


def _processor() -> str:
    facts = _cpu_facts()
    model = facts.get("model name") or platform.machine()
    extensions = [each for each in _EXTENSIONS if each in facts.get("flags", "").split()]
    return f"{model} ({' '.join(extensions) or 'no vector extensions known'})"


def _cpu_facts() -> dict[str, str]:
    """Returns what the system says of its first core, by name; nothing where it doesn't."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _revision() -> str:
    """Returns the version, and the revision if there is one, marked where files were changed."""
    version = metadata.version("pointsman-server")
    revision = _git("rev-parse", "--short=10", "HEAD")
    if not revision:
        return version
    return f"{version} at {revision}{', changed' if _git('status', '--porcelain', '-uno') else ''}"


def _git(*arguments: str) -> str:
    """Returns what git says; nothing without git, or outside a repository."""
    command = ["git", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 — no user's words
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
