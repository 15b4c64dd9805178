"""Small networks run on one thread: more gain nothing, and cost much on a busy machine."""

import pytest
import torch
from accelerate.state import AcceleratorState


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """A process has one precision for life; here each test is a process of its own."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
