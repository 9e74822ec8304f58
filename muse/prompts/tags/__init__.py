"""Tags read into intents: :func:`~muse.prompts.tags.parse.parse_tags`."""

from muse.prompts.tags.parse import parse_tags

__all__ = ["parse_tags"]
