"""The mapping between emotion and attributes: one fitted table read both ways, and what explains a piece by it."""

from muse.mapping.explain import Explanation
from muse.mapping.mapper import AttributeTarget, EmotionMapper

__all__ = ["AttributeTarget", "EmotionMapper", "Explanation"]
