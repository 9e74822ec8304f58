"""Pictures read into intents: :func:`~muse.prompts.image.parse.parse_image`."""

from muse.prompts.image.parse import parse_image

__all__ = ["parse_image"]
