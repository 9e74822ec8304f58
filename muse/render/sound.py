"""Sound: a score played by a soundfont.

Contents: :func:`render_audio`.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from muse.render.soundfont import SoundFont
from muse.score import Score, note_array

__all__ = ["SAMPLE_RATE", "render_audio"]

SAMPLE_RATE = 44_100
"""Of rendered sound, samples a second."""


def render_audio(
    score: Score,
    path: str | Path | None = None,
    *,
    sample_rate: int = SAMPLE_RATE,
    soundfont: str | Path | None = None,
) -> NDArray[np.float32]:
    """Play a score by a soundfont.

    Parameters
    ----------
    score
        Any score.
    path
        Where to write the sound, see :data:`muse.audio.CODECS`; nothing is written when None.
    sample_rate
        Samples a second, hertz.
    soundfont
        An SF2 file; the small General MIDI one that comes with ``pretty_midi`` when None.

    Returns
    -------
    numpy.ndarray
        float32 [2, n], left and right, the loudest sample at 0.9 or below.

    Raises
    ------
    InputError
        There is no such soundfont, or the ending cannot be written.
    """
    if soundfont is None:
        package = importlib.util.find_spec("pretty_midi")
        assert package is not None and package.origin is not None  # a core dependency
        soundfont = Path(package.origin).parent / "TimGM6mb.sf2"
    samples = _soundfont(str(soundfont)).play(note_array(score), sample_rate)
    samples *= np.float32(min(1.0, 0.9 / max(float(np.abs(samples).max(initial=0.0)), 1e-9)))
    if path is not None:
        from muse.audio import write_audio

        write_audio(samples, sample_rate, path)
    return samples


@lru_cache(maxsize=4)
def _soundfont(path: str) -> SoundFont:
    return SoundFont(path)
