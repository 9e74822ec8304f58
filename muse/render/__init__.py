"""Rendering: pictures, notation and sound of a score."""

from muse.render.render import (
    PICTURE_SUFFIXES,
    SAMPLE_RATE,
    SHEET_SUFFIXES,
    emotion_curves,
    piano_roll,
    render_audio,
    signed_bars,
    write_musicxml,
)

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
