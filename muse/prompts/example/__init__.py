"""Music by example read into intents: :func:`~muse.prompts.example.parse.parse_example`."""

from muse.prompts.example.parse import parse_example

__all__ = ["parse_example"]
