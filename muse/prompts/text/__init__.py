"""Sentences read into intents: :func:`~muse.prompts.text.parse.parse_text`."""

from muse.prompts.text.parse import parse_text

__all__ = ["parse_text"]
