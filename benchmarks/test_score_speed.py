"""Speed of the check of MIDI files: ``pytest benchmarks --benchmark-enable``. Not part of the test suite."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from muse.score.midi_bytes import check

N_EVENTS = 75_000


def test_check(benchmark: Any) -> None:
    """Half a megabyte in one track."""
    rng = np.random.default_rng(0)
    events = b"".join(
        bytes([int(delta), 0x90, int(pitch), 0x40, 0x20, int(pitch), 0x00])
        for delta, pitch in zip(rng.integers(0, 100, N_EVENTS), rng.integers(20, 100, N_EVENTS), strict=True)
    )
    track = events + b"\x00\xff\x2f\x00"
    data = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track
    benchmark(check, data)
