"""How many cores this process may really use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# In a hybrid hierarchy v2 stands below "unified" and knows no cpu controller.
_V2_MOUNTS = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
_V1_MOUNTS = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct")


def cpu_limit(root: Path = Path("/")) -> int:
    """Counts the cores that this process may use, at least 1.

    The least of: the CPU affinity of the process; `cpu.max` (cgroup v2) and
    `cpu.cfs_quota_us / cpu.cfs_period_us` (cgroup v1) of its cgroup and of every
    cgroup above it. A share of a core counts as a whole one.

    Args:
        root: Where `proc` and `sys` are mounted.
    """
    quotas = (*_v2_quotas(root), *_v1_quotas(root), float(_affinity()))
    return max(1, math.ceil(min(quotas)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _v2_quotas(root: Path) -> Iterator[float]:
    for folder in _folders(root, _V2_MOUNTS, _process_cgroup(root, "")):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        yield from _ratio(quota, period)


def _v1_quotas(root: Path) -> Iterator[float]:
    for folder in _folders(root, _V1_MOUNTS, _process_cgroup(root, "cpu")):
        quota = _read(folder / "cpu.cfs_quota_us")
        yield from _ratio(quota, _read(folder / "cpu.cfs_period_us"))


def _process_cgroup(root: Path, controller: str) -> PurePosixPath:
    """The cgroup of the process under a v1 controller, or under v2 ("")."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controller in controllers.split(","):
            # A container may see the path of its host, or one that begins with "..".
            return PurePosixPath(*(part for part in path.split("/") if part not in ("", "..")))
    return PurePosixPath()


def _folders(root: Path, mounts: tuple[str, ...], cgroup: PurePosixPath) -> Iterator[Path]:
    for mount in mounts:
        for level in (cgroup, *cgroup.parents):
            yield root / mount / level


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _ratio(quota: str, period: str) -> Iterator[float]:
    """Cores of a quota; nothing for "max", for -1 and for a file that is not there."""
    if quota.isdecimal() and period.isdecimal() and int(period) > 0:
        yield int(quota) / int(period)
