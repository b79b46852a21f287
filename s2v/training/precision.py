"""The numbers a fit computes with where its config leaves that open: bfloat16 where the GPU has it."""

from collections.abc import Sequence
from typing import Literal

import torch

Precision = Literal["bf16-mixed", "32-true"]

FIRST_WITH_BFLOAT16 = (8, 0)
"""Compute capability of the first NVIDIA GPUs whose tensor cores multiply bfloat16 (Ampere)."""


def choose_precision(accelerator: str, capabilities: Sequence[tuple[int, int]]) -> tuple[Precision, str]:
    """What `trainer.precision` should be, and why in a few words.

    float16 is never chosen: its range is too small for these losses without scaling them. Nor is bfloat16 on CPUs,
    whose backward convolutions mostly lack it (docs/performance.md).

    Args:
        accelerator: `trainer.accelerator`.
        capabilities: compute capability of each CUDA device that PyTorch sees.
    """
    if accelerator not in ("auto", "gpu", "cuda") or not capabilities:
        return "32-true", "no CUDA device is used"
    least = min(capabilities)
    if least < FIRST_WITH_BFLOAT16:
        return "32-true", f"a GPU of compute capability {least[0]}.{least[1]} has no bfloat16"
    return "bf16-mixed", "the GPU has bfloat16"


def cuda_capabilities() -> list[tuple[int, int]]:
    """Of every CUDA device that PyTorch sees."""
    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_capability(number) for number in range(torch.cuda.device_count())]
