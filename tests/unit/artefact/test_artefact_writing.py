import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from encoders import (
    Artefact,
    ArtefactInvalidError,
    EncoderNotFoundError,
    ManifestDraft,
    write_artefact,
)
from encoders.artefact import bundle, inventory, swap
from tests.unit.artefact.tiny_router import tiny_arrays, tiny_draft, tiny_encoder, write_router


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("source"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_only_what_the_encoder_needs_is_copied(encoder, tmp_path):
    artefact = write_router(tmp_path / "router", encoder)
    assert set(artefact.manifest.files) == {
        "arrays.safetensors",
        "encoder/1_Pooling/config.json",
        "encoder/config.json",
        "encoder/model.onnx",
        "encoder/modules.json",
        "encoder/sentence_bert_config.json",
        "encoder/tokenizer.json",
    }
    assert (encoder / "model.safetensors").exists()


def test_the_same_router_has_the_same_revision(encoder, tmp_path):
    first, second = (write_router(tmp_path / name, encoder) for name in ("a", "b"))
    other = write_router(tmp_path / "c", encoder, seed=1)
    assert first.revision == second.revision != other.revision


def test_everything_that_is_drafted_is_kept(encoder, tmp_path):
    draft = ManifestDraft.model_validate(
        {
            "kind": "zooter",
            "models": ({"name": "a", "cost": 0.5}, {"name": "b"}, {"name": "c"}),
            "encoder_name": "tiny",
            "method": {"lambda": 0.5, "layers": [1, None], "on": True},
            "data": {"fingerprint": "ab", "rows": 7, "tasks": {"mmlu": 7}},
            "validation": {
                "rows": 3,
                "accuracy": {"mmlu": 0.5},
                "average": 0.5,
                "best_single_model": "a",
                "best_single_average": 0.25,
            },
            "calibration": {"temperature": 0.1, "nll_before": 2.0, "nll_after": 1.0},
            "export": {"prompts": 9, "largest_difference": 1e-7},
        }
    )
    written = write_artefact(tmp_path / "router", draft, tiny_arrays(), encoder)
    assert Artefact.load(tmp_path / "router").manifest.draft() == draft
    assert written.manifest.draft() == draft


def test_a_picture_may_come_along(encoder, tmp_path):
    (tmp_path / "curve.png").write_bytes(b"picture")
    out = tmp_path / "router"
    artefact = write_artefact(
        out, tiny_draft(), tiny_arrays(), encoder, extras=[tmp_path / "curve.png"]
    )
    assert (out / "curve.png").read_bytes() == b"picture"
    assert "curve.png" in artefact.manifest.files
    for name in ("manifest.json", "arrays.safetensors", "encoder"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ArtefactInvalidError, match="taken"):
            write_artefact(out, tiny_draft(), tiny_arrays(), encoder, extras=[tmp_path / name])
    assert Artefact.load(out).revision == artefact.revision


def test_a_router_is_replaced_and_nothing_is_left_beside_it(encoder, tmp_path):
    folder = tmp_path / "deep/er"
    write_router(folder / "router", encoder)
    second = write_router(folder / "router", encoder, seed=1)
    assert Artefact.load(folder / "router").revision == second.revision
    assert names(folder) == ["router"]


def test_a_router_is_replaced_where_directories_can_not_be_exchanged(
    encoder, tmp_path, monkeypatch
):
    monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    write_router(tmp_path / "router", encoder)
    second = write_router(tmp_path / "router", encoder, seed=1)
    assert Artefact.load(tmp_path / "router").revision == second.revision
    assert names(tmp_path) == ["router"]


def test_arrays_that_could_not_be_read_are_not_written(encoder, tmp_path, monkeypatch):
    old = write_artefact(tmp_path / "router", tiny_draft(), tiny_arrays(), encoder)
    monkeypatch.setattr(inventory, "MOST_ARRAY_BYTES", 50)
    with pytest.raises(ArtefactInvalidError, match=r"take \d+ bytes, and one may hold 50"):
        write_artefact(tmp_path / "router", tiny_draft(), tiny_arrays(), encoder)
    monkeypatch.undo()
    assert Artefact.load(tmp_path / "router").revision == old.revision


def test_a_failed_rename_brings_the_old_one_back(tmp_path, monkeypatch):
    for name in ("work", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    real = Path.rename

    def rename(self, target):
        if self.name == "work":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="No space"):
        swap.swap_in(tmp_path / "work", tmp_path / "target")
    assert (tmp_path / "target/file").read_text() == "target"


def test_an_exchange_that_is_refused_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        swap._exchange(tmp_path / "absent", tmp_path)


def test_the_target_of_a_link_is_replaced(encoder, tmp_path):
    write_router(tmp_path / "router", encoder)
    (tmp_path / "current").symlink_to("router")
    second = write_router(tmp_path / "current", encoder, seed=1)
    assert (tmp_path / "current").is_symlink()
    assert Artefact.load(tmp_path / "router").revision == second.revision


def test_an_empty_directory_is_filled(encoder, tmp_path):
    (tmp_path / "router").mkdir()
    assert Artefact.load(write_router(tmp_path / "router", encoder).directory)


@pytest.mark.parametrize("content", [{"thesis.tex": "years"}, {"manifest.json": '{"v": 2}'}])
def test_what_is_no_router_is_not_replaced(encoder, tmp_path, content):
    (tmp_path / "work").mkdir()
    for name, text in content.items():
        (tmp_path / "work" / name).write_text(text)
    with pytest.raises(ArtefactInvalidError, match="exists and is no router"):
        write_router(tmp_path / "work", encoder)
    assert names(tmp_path / "work") == sorted(content)


def test_a_file_is_not_replaced(encoder, tmp_path):
    (tmp_path / "router").touch()
    with pytest.raises(ArtefactInvalidError, match="exists and is no router"):
        write_router(tmp_path / "router", encoder)


def test_a_folder_that_can_not_be_written_is_told(encoder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactInvalidError, match="can't be written"):
        write_router(tmp_path / "file/router", encoder)


def test_parts_that_do_not_fit_leave_the_old_one(encoder, tmp_path):
    first = write_router(tmp_path / "router", encoder)
    wrong = {"llm_embeddings": np.full((3, 8), np.nan, np.float32)}
    with pytest.raises(ArtefactInvalidError, match="NaN"):
        write_artefact(tmp_path / "router", tiny_draft(), wrong, encoder)
    with pytest.raises(EncoderNotFoundError):
        write_artefact(tmp_path / "router", tiny_draft(), tiny_arrays(), tmp_path / "absent")
    assert Artefact.load(tmp_path / "router").revision == first.revision
    assert names(tmp_path) == ["router"]


KILLED = """
import os, signal, sys
from pathlib import Path
from encoders.artefact import bundle, swap
from tests.unit.artefact.tiny_router import write_router

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

module, name = sys.argv[3].split(".")
setattr({"bundle": bundle, "swap": swap}[module], name, die)
write_router(Path(sys.argv[1]), Path(sys.argv[2]), seed=1)
"""


@pytest.mark.parametrize("step", ["bundle._copy_encoder", "bundle._describe", "bundle.swap_in"])
def test_a_process_that_is_killed_leaves_the_old_one(encoder, tmp_path, step):
    first = write_router(tmp_path / "router", encoder)
    command = [sys.executable, "-c", KILLED, tmp_path / "router", encoder, step]
    killed = subprocess.run(command, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert Artefact.load(tmp_path / "router").revision == first.revision
    second = write_router(tmp_path / "router", encoder, seed=1)
    assert Artefact.load(tmp_path / "router").revision == second.revision


WRITER = """
import sys
from pathlib import Path
from tests.unit.artefact.tiny_router import write_router

print("ready", flush=True)
for number in range(int(sys.argv[3])):
    write_router(Path(sys.argv[1]), Path(sys.argv[2]), seed=number % 2)
"""


def test_reading_while_another_process_replaces_it(encoder, tmp_path):
    written = [write_router(tmp_path / "router", encoder, seed=seed) for seed in (1, 0)]
    revisions = {artefact.revision: artefact for artefact in written}
    command = [sys.executable, "-c", WRITER, tmp_path / "router", encoder, "40"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"ready\n"
        seen = []
        while writer.poll() is None:
            loaded = Artefact.load(tmp_path / "router")
            expected = revisions[loaded.revision].arrays["llm_embeddings"]
            np.testing.assert_array_equal(loaded.arrays["llm_embeddings"], expected)
            seen.append(loaded.revision)
        assert writer.returncode == 0
    assert set(seen) == set(revisions)


def test_an_encoder_replaced_since_it_was_verified_is_refused(encoder, tmp_path):
    artefact = write_router(tmp_path / "router", encoder)
    write_router(tmp_path / "router", encoder, seed=1)
    with pytest.raises(ArtefactInvalidError, match="was replaced while it was read"):
        artefact.load_encoder(threads=1)


def test_one_that_is_replaced_again_and_again_is_given_up(encoder, tmp_path, monkeypatch):
    write_router(tmp_path / "router", encoder)
    (tmp_path / "router/arrays.safetensors").write_bytes(b"")
    places = iter(range(100))
    monkeypatch.setattr(bundle, "_place", lambda directory: (directory, next(places)))
    with pytest.raises(ArtefactInvalidError, match="was replaced 5 times"):
        Artefact.load(tmp_path / "router")


def test_umask_and_owner_do_not_hide_it(encoder, tmp_path):
    write_router(tmp_path / "router", encoder)
    assert (tmp_path / "router").stat().st_mode & 0o777 == 0o755
