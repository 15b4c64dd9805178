import pytest

from evaluation.atomic import write_lines


def test_lines_are_written_as_utf_8(tmp_path):
    write_lines(tmp_path / "out", ["é\n", "b\n"])
    assert (tmp_path / "out").read_bytes() == "é\nb\n".encode()
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "out").write_text("old")

    def lines():
        yield "new\n"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lines(tmp_path / "out", lines())
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "old"


def test_a_new_file_has_the_usual_permissions_and_an_old_one_its_own(tmp_path):
    (tmp_path / "plain").touch()
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o600)
    write_lines(tmp_path / "new", [])
    write_lines(tmp_path / "old", [])
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o600
