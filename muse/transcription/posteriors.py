"""Which notes sound and which begin, frame by frame: the network of Basic Pitch on ONNX Runtime.

Bittner, Bosch, Rubinstein, Meseguer-Brocal & Ewert 2022, "A lightweight instrument-agnostic model for polyphonic note
transcription and multipitch estimation", ICASSP; Apache-2.0.

Conventions
-----------
frame
    :data:`HOP` samples at :data:`SAMPLE_RATE`, 86 a second; frame ``i`` is about the moment ``i * HOP / SAMPLE_RATE``.
pitch
    Column ``k`` is MIDI pitch ``LOWEST_PITCH + k``: the 88 keys of a piano.
posteriors
    float32 in 0..1: ``onset`` that a note begins, ``note`` that it sounds.
windows
    The network hears 2 s at once. Of each window the middle 141 frames are kept, so frames have neighbours that were
    heard with them on either side, and windows begin a whole number of frames apart.

Contents: :class:`Posteriors`, :class:`PosteriorModel`, :class:`PosteriorStream`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import Settings
from muse.errors import InputError

__all__ = [
    "HOP",
    "LOWEST_PITCH",
    "MODEL_FILE",
    "N_PITCHES",
    "SAMPLE_RATE",
    "PosteriorModel",
    "PosteriorStream",
    "Posteriors",
]

Floats = NDArray[np.float32]

SAMPLE_RATE: Final = 22_050
HOP: Final = 256
N_PITCHES: Final = 88
LOWEST_PITCH: Final = 21
MODEL_FILE: Final = "basic_pitch.onnx"
MAX_MODEL_BYTES: Final = 64 << 20

_WINDOW: Final = 43_844
_WINDOW_FRAMES: Final = 172
_MARGIN: Final = 15
"""Frames of a window that are dropped on the left; on the right 16 are."""
_KEPT: Final = 141
_SILENCE: Final = 1e-4
"""Peak of a window below which nothing sounds (-80 dB): the network's own scaling would hear notes in it."""
_INPUT: Final = "serving_default_input_2:0"
_ONSET, _NOTE = "StatefulPartitionedCall:2", "StatefulPartitionedCall:1"


class Posteriors(NamedTuple):
    """Of some frames."""

    onset: Floats
    """[n, 88]."""
    note: Floats
    """[n, 88]."""


class PosteriorModel:
    """The network; may be used by several threads."""

    def __init__(self, session: Any) -> None:
        self._session = session

    @classmethod
    def open(cls, folder: Path) -> PosteriorModel:
        """The network of a checkpoint.

        Raises
        ------
        InputError
            The file is missing, too large, another than ``config.json`` says, or no such network.
        """
        path = folder / MODEL_FILE
        if not path.is_file():
            raise InputError(f"{path}: no such file: get the checkpoint again")
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise InputError(f"{path} has {path.stat().st_size:,} bytes; models up to {MAX_MODEL_BYTES:,} are read")
        data = path.read_bytes()
        if Settings.read(folder / "config.json").values.get("sha256") != hashlib.sha256(data).hexdigest():
            raise InputError(f"{path} is not the file whose SHA-256 config.json has: get the checkpoint again")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # faults are reported by us, in one line
        try:
            # From bytes, so that a model that keeps its weights in other files has no folder to look for them in.
            session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own exceptions have no common base but this
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path} is no intact ONNX model ({reason}): get the checkpoint again") from None
        shapes = {one.name: one.shape[1:] for one in (*session.get_inputs(), *session.get_outputs())}
        frames = [_WINDOW_FRAMES, N_PITCHES]
        wanted = {_INPUT: [_WINDOW, 1], _ONSET: frames, _NOTE: frames}
        if any(shapes.get(name) != shape for name, shape in wanted.items()):
            raise InputError(f"{path} is no model of Basic Pitch: get the checkpoint again")
        return cls(session)

    def stream(self, blocks: Iterable[Floats]) -> Iterator[Posteriors]:
        """Posteriors of samples that come in blocks, [141, 88] at once, the last fewer; memory is bounded.

        Parameters
        ----------
        blocks
            float32 [n] each, at :data:`SAMPLE_RATE`.
        """
        stream = PosteriorStream(self)
        for block in blocks:
            yield from stream.push(block)
        yield from stream.finish()

    def run(self, window: Floats) -> Posteriors:
        """Of the frames of one window that are kept, [141, 88]."""
        if float(np.abs(window).max()) < _SILENCE:
            nothing = np.zeros((_KEPT, N_PITCHES), np.float32)
            return Posteriors(nothing, nothing)
        found = self._session.run([_ONSET, _NOTE], {_INPUT: window[None, :, None]})
        return Posteriors(*(one[0, _MARGIN : _MARGIN + _KEPT] for one in found))


class PosteriorStream:
    """The same for one recording whose samples come in blocks, whoever has them; memory is bounded."""

    def __init__(self, model: PosteriorModel) -> None:
        self._model = model
        self._heard = np.zeros(_MARGIN * HOP, np.float32)
        self._n_samples = self._n_frames = 0

    def push(self, block: Floats) -> Iterator[Posteriors]:
        """Posteriors [141, 88] that are known with float32 [n] more at :data:`SAMPLE_RATE`."""
        self._n_samples += len(block)
        self._heard = np.concatenate([self._heard, block])
        while len(self._heard) >= _WINDOW:
            yield self._next(self._heard[:_WINDOW])

    def finish(self) -> Iterator[Posteriors]:
        """The rest of them, the last fewer."""
        while (left := -(-self._n_samples // HOP) - self._n_frames) > 0:
            found = self._next(np.pad(self._heard, (0, max(_WINDOW - len(self._heard), 0)))[:_WINDOW])
            yield Posteriors(found.onset[:left], found.note[:left])

    def _next(self, window: Floats) -> Posteriors:
        self._heard, self._n_frames = self._heard[_KEPT * HOP :], self._n_frames + _KEPT
        return self._model.run(window)
