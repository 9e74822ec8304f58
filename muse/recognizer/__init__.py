"""The recogniser tells the emotion of audio; it knows nothing of the generator. See :mod:`muse.recognizer.model`."""

from muse.recognizer.model import Recognition, Recognizer

__all__ = ["Recognition", "Recognizer"]
