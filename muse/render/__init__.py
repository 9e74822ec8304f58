"""Rendering: pictures, notation and sound of a score."""

from muse.render.notation import SHEET_SUFFIXES, write_musicxml
from muse.render.pictures import PICTURE_SUFFIXES, emotion_curves, piano_roll, signed_bars
from muse.render.sound import SAMPLE_RATE, Synthesizer, find_soundfont, render_audio, render_stems

__all__ = [
    "PICTURE_SUFFIXES",
    "SAMPLE_RATE",
    "SHEET_SUFFIXES",
    "Synthesizer",
    "emotion_curves",
    "find_soundfont",
    "piano_roll",
    "render_audio",
    "render_stems",
    "signed_bars",
    "write_musicxml",
]
