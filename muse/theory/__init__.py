"""Theory of music: keys, chords and their names."""

from muse.theory.harmony import (
    CHORD_NAMES,
    CHORD_QUALITIES,
    KEY_PROFILES,
    PITCH_CLASS_NAMES,
    Key,
    Mode,
    chord_scores,
    estimate_key,
    key_from_weights,
    key_strengths,
    label_chords,
    pitch_class_set_type,
    tonal_centroid,
)

__all__ = [
    "CHORD_NAMES",
    "CHORD_QUALITIES",
    "KEY_PROFILES",
    "PITCH_CLASS_NAMES",
    "Key",
    "Mode",
    "chord_scores",
    "estimate_key",
    "key_from_weights",
    "key_strengths",
    "label_chords",
    "pitch_class_set_type",
    "tonal_centroid",
]
