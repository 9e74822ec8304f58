"""Videos read into intents: :func:`~muse.prompts.video.parse.parse_video`."""

from muse.prompts.video.parse import parse_video

__all__ = ["parse_video"]
