import os

import pytest

from encoders import cpu_limit


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.fixture
def put(tmp_path):
    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    return write


def test_without_any_cgroup_the_affinity_counts(tmp_path):
    assert cpu_limit(tmp_path) == 8


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("0 100000", 1),
        ("1600000 100000", 8),
        ("nonsense", 8),
        ("", 8),
        ("100000 0", 8),
    ],
)
def test_v2_limit_of_the_container(tmp_path, put, limit, cores):
    put("proc/self/cgroup", "0::/\n")
    put("sys/fs/cgroup/cpu.max", limit + "\n")
    assert cpu_limit(tmp_path) == cores


def test_v2_the_least_limit_on_the_way_up_counts(tmp_path, put):
    put("proc/self/cgroup", "0::/kubepods/pod1/box\n")
    put("sys/fs/cgroup/kubepods/cpu.max", "700000 100000\n")
    put("sys/fs/cgroup/kubepods/pod1/cpu.max", "300000 100000\n")
    put("sys/fs/cgroup/kubepods/pod1/box/cpu.max", "max 100000\n")
    assert cpu_limit(tmp_path) == 3


def test_v2_a_path_from_outside_the_namespace_falls_back_to_the_mount(tmp_path, put):
    put("proc/self/cgroup", "0::/../sibling\n")
    put("sys/fs/cgroup/cpu.max", "400000 100000\n")
    put("sys/fs/sibling/cpu.max", "100000 100000\n")
    assert cpu_limit(tmp_path) == 4


def test_v1_limit_where_the_host_path_is_not_mounted(tmp_path, put):
    put("proc/self/cgroup", "9:name=systemd:/x\n4:cpu,cpuacct:/docker/abc\n1:memory:/y\n")
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n")
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert cpu_limit(tmp_path) == 3


def test_v1_nested_limit_and_no_limit_above(tmp_path, put):
    put("proc/self/cgroup", "1:cpu:/a/b\n0::/\n")
    for folder, quota in (("", "-1"), ("a/", "-1"), ("a/b/", "200000")):
        put(f"sys/fs/cgroup/cpu/{folder}cpu.cfs_quota_us", quota)
        put(f"sys/fs/cgroup/cpu/{folder}cpu.cfs_period_us", "100000")
    assert cpu_limit(tmp_path) == 2


def test_affinity_below_the_quota_counts(tmp_path, put, monkeypatch):
    put("sys/fs/cgroup/cpu.max", "600000 100000\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert cpu_limit(tmp_path) == 2


def test_this_very_process_has_at_least_one():
    assert cpu_limit() >= 1
