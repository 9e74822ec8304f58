"""Rendering: pictures, notation and sound of a score."""

from muse.render.engraving import ENGRAVED_SUFFIXES, engrave, write_sheet
from muse.render.notation import SHEET_SUFFIXES, musicxml, write_musicxml
from muse.render.pictures import PICTURE_SUFFIXES, emotion_curves, piano_roll, signed_bars
from muse.render.sound import SAMPLE_RATE, Synthesizer, find_soundfont, render_audio, render_stems

__all__ = [
    "ENGRAVED_SUFFIXES",
    "PICTURE_SUFFIXES",
    "SAMPLE_RATE",
    "SHEET_SUFFIXES",
    "Synthesizer",
    "emotion_curves",
    "engrave",
    "find_soundfont",
    "musicxml",
    "piano_roll",
    "render_audio",
    "render_stems",
    "signed_bars",
    "write_musicxml",
    "write_sheet",
]
