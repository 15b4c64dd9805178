"""When a directory has changed, and when the change is over."""

import os
from pathlib import Path

from server.routers.watching import Watch, fingerprint
from tests.homed_router import swap_link


def test_every_kind_of_change_is_seen(tmp_path):
    folder, other, link = tmp_path / "a", tmp_path / "b", tmp_path / "link"
    for each in (folder, other):
        (each / "encoder").mkdir(parents=True)
        (each / "encoder" / "model").write_text("same")
    swap_link(link, folder)
    seen = [fingerprint(link)]
    swap_link(link, other)
    seen.append(fingerprint(link))
    (other / "encoder" / "model").write_text("longer")
    seen.append(fingerprint(link))
    os.utime(other / "encoder" / "model", ns=(1, 1))
    seen.append(fingerprint(link))
    (other / "more").write_text("")
    seen.append(fingerprint(link))
    (tmp_path / "c").mkdir()
    (other / "encoder").rename(tmp_path / "c" / "encoder")
    seen.append(fingerprint(link))
    assert len(set(seen)) == len(seen)
    assert fingerprint(link) == seen[-1]


def test_what_is_not_there_has_no_fingerprint(tmp_path):
    assert fingerprint(tmp_path / "never") == ()
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert fingerprint(loop) == ()


def test_folders_that_lie_deep_are_looked_through(tmp_path):
    folders = [tmp_path]
    while len(folders) < 1200:
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    try:
        (folders[-1] / "file").write_text("beyond the most entries")
        (folders[900] / "file").write_text("")
        assert [Path(path).name for path, *_ in fingerprint(tmp_path)] == ["file"]
    finally:  # shutil.rmtree can't
        for folder in reversed(folders):
            (folder / "file").unlink(missing_ok=True)
            folder.rmdir()


def test_a_change_counts_once_it_has_lasted_and_once_only():
    first, second, third = ((("a", number, 0, 0),) for number in range(3))
    watch = Watch(first)
    looks = [first, first, second, third, second, second]
    assert [watch.has_settled(each) for each in looks] == [False] * 5 + [True]
    watch.tried = second
    assert not watch.has_settled(second)
    assert [watch.has_settled(()), watch.has_settled(())] == [False, True]
