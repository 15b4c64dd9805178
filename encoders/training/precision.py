"""Which numbers the encoder computes in."""

from typing import Literal

import torch

from encoders.training.errors import TrainingError
from encoders.training.hyperparameters import Precision

Mixed = Literal["no", "bf16", "fp16"]


def mixed_precision(wanted: Precision) -> Mixed:
    """The mixed precision to ask `accelerate` for.

    Raises:
        TrainingError: fp16 is wanted without a GPU.
    """
    on_gpu = torch.cuda.is_available()
    match wanted:
        case Precision.FP32:
            return "no"
        case Precision.BF16:
            return "bf16"
        case Precision.FP16:
            if not on_gpu:
                raise TrainingError("precision is fp16, which needs a GPU; take bf16 or fp32")
            return "fp16"
        case Precision.AUTO:
            return "bf16" if _has_fast_bf16(on_gpu=on_gpu) else "no"


def _has_fast_bf16(*, on_gpu: bool) -> bool:
    if on_gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without AMX a CPU converts back and forth, which is slower than fp32.
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
