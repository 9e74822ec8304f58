"""Rendering: pictures, notation and sound of a score."""

from muse.render.engraving import SHEET_SUFFIXES, engrave, engrave_musicxml, write_sheet
from muse.render.lead_sheet import lead_sheet
from muse.render.notation import musicxml, write_musicxml
from muse.render.pictures import (
    PICTURE_SUFFIXES,
    asked_against_measured,
    emotion_curves,
    emotion_plane,
    piano_roll,
    signed_bars,
)
from muse.render.sound import SAMPLE_RATE, Synthesizer, find_soundfont, render_audio, render_stems

__all__ = [
    "PICTURE_SUFFIXES",
    "SAMPLE_RATE",
    "SHEET_SUFFIXES",
    "Synthesizer",
    "asked_against_measured",
    "emotion_curves",
    "emotion_plane",
    "engrave",
    "engrave_musicxml",
    "find_soundfont",
    "lead_sheet",
    "musicxml",
    "piano_roll",
    "render_audio",
    "render_stems",
    "signed_bars",
    "write_musicxml",
    "write_sheet",
]
