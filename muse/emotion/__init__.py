"""Emotion: words, quadrants and points of the valence-arousal plane, and their course over time."""

from muse.emotion.emotion import (
    QUADRANTS,
    Emotion,
    EmotionLike,
    EmotionPath,
    EmotionPathLike,
    EmotionWord,
    emotion_words,
)

__all__ = ["QUADRANTS", "Emotion", "EmotionLike", "EmotionPath", "EmotionPathLike", "EmotionWord", "emotion_words"]
