"""Transcription turns sound into a score, as :mod:`muse.render` turns a score into sound."""

from muse.transcription.transcriber import Transcriber

__all__ = ["Transcriber"]
