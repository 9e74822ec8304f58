"""Rendering: pictures, notation and sound of a score."""

from muse.render.notation import SHEET_SUFFIXES, write_musicxml
from muse.render.pictures import PICTURE_SUFFIXES, emotion_curves, piano_roll, signed_bars
from muse.render.sound import SAMPLE_RATE, render_audio

__all__ = [
    "PICTURE_SUFFIXES",
    "SAMPLE_RATE",
    "SHEET_SUFFIXES",
    "emotion_curves",
    "piano_roll",
    "render_audio",
    "signed_bars",
    "write_musicxml",
]
