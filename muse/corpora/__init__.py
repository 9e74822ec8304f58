"""Corpora: folders of labelled music, a file for each kind of source."""

from muse.corpora.recordings import GEMS, MOODS, Clip, EmotionDataset, ListenerCurve, listener_curves, open_dataset
from muse.corpora.songs import MIDI_SUFFIXES

__all__ = [
    "GEMS",
    "MIDI_SUFFIXES",
    "MOODS",
    "Clip",
    "EmotionDataset",
    "ListenerCurve",
    "listener_curves",
    "open_dataset",
]
