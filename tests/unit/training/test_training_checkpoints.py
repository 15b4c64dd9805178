import resource
import signal

import pytest
import torch
from torch import nn

from encoders.training.checkpoints import (
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from encoders.training.errors import TrainingError
from encoders.training.workspace import Workspace, held


def test_a_checkpoint_comes_back(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": shared, "b": shared.T, "scalar": torch.tensor(3.0)}
    write_checkpoint(tmp_path / "sub/c.safetensors", tensors, {"step": 3, "x": [None, 0.1]})
    found = read_checkpoint(tmp_path / "sub/c.safetensors")
    assert found.state == {"step": 3, "x": [None, 0.1]}
    assert all(torch.equal(found.tensors[name], tensors[name]) for name in tensors)
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["c.safetensors"]


def test_what_is_not_there_is_none(tmp_path):
    assert read_checkpoint(tmp_path / "c") is None


def test_a_pickle_or_a_torn_file_is_refused_and_never_run(tmp_path):
    path = tmp_path / "c"
    torch.save({"a": torch.ones(3)}, path)
    with pytest.raises(TrainingError, match="damaged"):
        read_checkpoint(path)
    write_checkpoint(path, {"a": torch.ones(300)}, {})
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(TrainingError, match="damaged"):
        read_checkpoint(path)


def test_an_optimiser_goes_on_as_if_it_had_not_stopped():
    def make():
        torch.manual_seed(0)
        layer = nn.Linear(3, 2)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)

    def step(layer, optimizer):
        layer(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    one, first = make()
    for _ in range(3):
        step(one, first)
    other, second = make()
    other.load_state_dict({name: tensor.clone() for name, tensor in one.state_dict().items()})
    moments = {name: tensor.clone() for name, tensor in optimizer_tensors(first).items()}
    restore_optimizer(second, {**moments, "network.x": torch.ones(1)})
    step(one, first)
    step(other, second)
    assert torch.equal(one.weight, other.weight)


def test_a_workspace_belongs_to_one_training(tmp_path):
    Workspace(tmp_path / "w", "one").open()
    Workspace(tmp_path / "w", "one").open()
    with pytest.raises(TrainingError, match="other data or hyper-parameters"):
        Workspace(tmp_path / "w", "two").open()


def test_a_workspace_takes_no_folder_of_somebody_else(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(TrainingError, match="can't be used"):
        Workspace(tmp_path, "one").open()


def test_best_weights_that_are_gone_are_named(tmp_path):
    with pytest.raises(TrainingError, match="missing"):
        Workspace(tmp_path, "one").read_best()


def test_a_full_disk_is_one_sentence_and_the_old_checkpoint_stays(tmp_path):
    path = tmp_path / "c"
    write_checkpoint(path, {"a": torch.ones(3)}, {"step": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(TrainingError, match="the same command goes on"):
            write_checkpoint(path, {"a": torch.ones(30_000)}, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert read_checkpoint(path).state == {"step": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["c"]


def test_a_folder_is_held_by_one_training_at_a_time(tmp_path):
    with held(tmp_path / "w"):
        with pytest.raises(TrainingError, match="another training uses"), held(tmp_path / "w"):
            pytest.fail("it was held twice")
        Workspace(tmp_path / "w", "one").open()
    with held(tmp_path / "w"):
        Workspace(tmp_path / "w", "one").open()


def test_a_folder_in_which_nothing_was_written_does_not_stay(tmp_path):
    with held(tmp_path / "a/w"):
        assert (tmp_path / "a/w").is_dir()
    assert not (tmp_path / "a/w").exists()
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="can't be used"), held(tmp_path / "file/w"):
        pytest.fail("it is no folder")
