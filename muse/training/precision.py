"""Which numbers training multiplies: bfloat16 where that is faster, float32 elsewhere.

Asked of the processor and not measured: what a busy machine measures differs from call to call, and a run that goes on
after a kill must go on with the same numbers.
"""

from __future__ import annotations

from functools import cache

import torch

__all__ = ["autocast", "bf16_is_faster"]


@cache
def bf16_is_faster() -> bool:
    """Whether matrices are multiplied faster in bfloat16 than in float32: on a GPU, and on a CPU with the instructions;
    one without them takes 14 times as long."""
    if torch.cuda.is_available():
        return True
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(has for name, has in capabilities.items() if "bf16" in name)


def autocast(device_type: str) -> torch.autocast:
    """The context in which a forward pass uses bfloat16, where that is faster."""
    return torch.autocast(device_type, torch.bfloat16, enabled=bf16_is_faster())
