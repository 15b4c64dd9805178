"""Which of the processes of a data-parallel training this one is."""

import torch
from accelerate import PartialState


def on_cpu() -> bool:
    """Whether there is nothing better to train on; `torchrun` leaves it to us to find out."""
    return not torch.accelerator.is_available()


def is_main_process() -> bool:
    """Whether this process speaks for all; true where it is the only one."""
    return bool(PartialState(cpu=on_cpu()).is_main_process)


def process_count() -> int:
    """How many processes share each step."""
    return int(PartialState(cpu=on_cpu()).num_processes)
