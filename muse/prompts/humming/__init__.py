"""Hummed, sung and whistled tunes read into intents: :func:`~muse.prompts.humming.parse.parse_humming`."""

from muse.prompts.humming.parse import NoMelodyError, parse_humming

__all__ = ["NoMelodyError", "parse_humming"]
