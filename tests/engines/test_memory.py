"""Memory of a process that works for long."""

from __future__ import annotations

import subprocess
import sys

import pytest

_MAPPED = """
import ctypes
from muse.engines.processes import return_large_blocks

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
{call}
bytearray(30 << 20)  # taken and freed: the library learns from it that such blocks are common
block = bytearray(20 << 20)
print(libc.mallinfo2().hblkhd >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the GNU C library")
@pytest.mark.parametrize(("call", "is_mapped"), [("return_large_blocks()", True), ("", False)])
def test_large_blocks_are_mapped_so_that_they_go_back_to_the_system(call: str, is_mapped: bool) -> None:
    run = subprocess.run([sys.executable, "-c", _MAPPED.format(call=call)], capture_output=True, text=True)
    if "mallinfo2" in run.stderr:
        pytest.skip("another C library")
    assert run.returncode == 0, run.stderr
    assert (int(run.stdout) >= 20) == is_mapped
