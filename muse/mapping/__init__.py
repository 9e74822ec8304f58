"""The mapping between emotion and attributes: one fitted table read both ways, and what explains a piece by it."""

from muse.mapping.explain import Explanation
from muse.mapping.mapper import EmotionMapper, NotFittedError
from muse.mapping.target import AttributeTarget

__all__ = ["AttributeTarget", "EmotionMapper", "Explanation", "NotFittedError"]
