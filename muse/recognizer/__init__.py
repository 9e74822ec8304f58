"""The recogniser predicts the emotion of audio; it knows nothing of the generator. See :mod:`muse.recognizer.model`."""

from muse.recognizer.heads.personal import Listener
from muse.recognizer.model import Recognition, Recognizer

__all__ = ["Listener", "Recognition", "Recognizer"]
