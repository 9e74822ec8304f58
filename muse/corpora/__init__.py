"""Corpora: folders of labelled music, a file for each data set, read by everyone who reads that data set.

:func:`find_songs` gives the MIDI files of any folders with what is known of them; :func:`open_dataset` gives the clips
of a data set of emotions, sound or MIDI. Both are tables of the readers, which lie one a file.
"""

from muse.corpora.archives import is_packed, unpacked
from muse.corpora.beats import BeatTimes, read_beats
from muse.corpora.clips import Clip, EmotionDataset, ListenerCurve
from muse.corpora.emopia import emopia_clips, recording_of
from muse.corpora.metadata import has_metadata, read_metadata
from muse.corpora.pop909 import read_chords, read_key
from muse.corpora.recordings import listener_curves, open_dataset
from muse.corpora.song import MIDI_SUFFIXES, SPLITS, Song, genre_of, work_name
from muse.corpora.songs import find_songs
from muse.corpora.sources import LICENCE_CLASSES
from muse.corpora.vgmidi import read_curve, vgmidi_pieces

__all__ = [
    "LICENCE_CLASSES",
    "MIDI_SUFFIXES",
    "SPLITS",
    "BeatTimes",
    "Clip",
    "EmotionDataset",
    "ListenerCurve",
    "Song",
    "emopia_clips",
    "find_songs",
    "genre_of",
    "has_metadata",
    "is_packed",
    "listener_curves",
    "open_dataset",
    "read_beats",
    "read_chords",
    "read_curve",
    "read_key",
    "read_metadata",
    "recording_of",
    "unpacked",
    "vgmidi_pieces",
    "work_name",
]
