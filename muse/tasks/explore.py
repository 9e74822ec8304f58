"""What an emotion asks of music: the mapping read for people.

Contents: :func:`asked_of`, :func:`models`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from muse.checkpoint import data_path

if TYPE_CHECKING:
    from muse.emotion import EmotionPathLike
    from muse.mapping import EmotionMapper

__all__ = ["asked_of", "models"]


@lru_cache(maxsize=1)
def _mapper() -> EmotionMapper:
    from muse.mapping import EmotionMapper

    return EmotionMapper.from_pretrained()


def asked_of(emotion: EmotionPathLike) -> list[dict[str, Any]]:
    """What is asked of a piece that shall carry an emotion, the heaviest attribute first.

    Parameters
    ----------
    emotion
        Anything that :meth:`muse.emotion.EmotionPath.parse` reads; of a path its mean.

    Returns
    -------
    list
        Rows of ``attribute, unit, value, low, high, weight``: the value at the center of the emotion, the bounds of its
        octile of the corpus, and how much it matters, 0..1.

    Raises
    ------
    InputError
        The emotion cannot be read.
    """
    from muse.attributes import ATTRIBUTES

    units = {one.name: one.unit for one in ATTRIBUTES}
    rows = [
        {"attribute": name, "unit": units.get(name, ""), **{k: v for k, v in row.items() if k != "bucket"}}
        for name, row in _mapper().target(emotion).to_dict().items()
    ]
    return sorted(rows, key=lambda row: -row["weight"])


def models(names: Sequence[str] | None = None) -> list[dict[str, str]]:
    """Cards of the checkpoints that come with Muse.

    Parameters
    ----------
    names
        Only these; all when None.

    Returns
    -------
    list
        Rows of ``name, licence, card``; the card is Markdown, its front matter taken off.
    """
    rows = []
    for path in sorted(data_path("checkpoints").glob("*/README.md")):
        if names is not None and path.parent.name not in names:
            continue
        text = path.read_text(encoding="utf-8")
        front = re.match(r"---\n(.*?)\n---\n", text, flags=re.DOTALL)
        licence = re.search(r"^license: *(.+)$", front[1], flags=re.MULTILINE) if front else None
        rows.append(
            {
                "name": path.parent.name,
                "licence": licence[1].strip() if licence else "",
                "card": text[front.end() :].strip() if front else text.strip(),
            }
        )
    return rows
