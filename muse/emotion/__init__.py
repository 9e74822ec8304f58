"""Emotion: words, quadrants and points of the valence-arousal plane, and their course over time."""

from muse.emotion.emotion import QUADRANTS, Emotion, EmotionLike, EmotionWord, emotion_words
from muse.emotion.path import EmotionPath, EmotionPathLike
from muse.emotion.tags import GEMS, MOODS

__all__ = [
    "GEMS",
    "MOODS",
    "QUADRANTS",
    "Emotion",
    "EmotionLike",
    "EmotionPath",
    "EmotionPathLike",
    "EmotionWord",
    "emotion_words",
]
