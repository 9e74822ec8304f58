"""Which numbers training multiplies: bfloat16 where that is faster, float32 elsewhere."""

from __future__ import annotations

import time
from functools import cache

import torch

__all__ = ["autocast", "bf16_is_faster"]


def bf16_is_faster() -> bool:
    """Whether matrices are multiplied faster in bfloat16 than in float32: on a GPU, and on a CPU with the instructions;
    one without them takes 14 times as long."""
    return torch.cuda.is_available() or _is_faster_on_cpu()


@cache
def _is_faster_on_cpu() -> bool:
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(1024, 256, dtype=dtype), torch.ones(256, 256, dtype=dtype)
        a @ b
        start = time.perf_counter()
        for _ in range(3):
            a @ b
        seconds.append(time.perf_counter() - start)
    return seconds[1] < seconds[0]


def autocast(device_type: str) -> torch.autocast:
    """The context in which a forward pass uses bfloat16, where that is faster."""
    return torch.autocast(device_type, torch.bfloat16, enabled=bf16_is_faster())
