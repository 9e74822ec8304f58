"""The tab that shows how emotion and music are joined: what a place in the plane asks of music, and what was learnt.

Contents: :func:`build`, :data:`FIGURES`.
"""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

from demos import widgets
from demos.studio import Studio
from muse.attributes import ATTRIBUTES
from muse.checkpoint import data_path
from muse.errors import MuseError
from muse.tasks.explore import asked_of

__all__ = ["FIGURES", "build"]

FIGURES: Final = (
    ("plane.png", "Where labelled pieces lie, and where the mapping puts them"),
    ("importance.png", "Attributes by how much they tell emotions apart"),
    ("distributions.png", "How attributes differ between the quadrants"),
)
"""Pictures in ``attributes/`` and what they show."""

_START: Final = (0.6, 0.5)


def build(studio: Studio) -> None:
    """Make the tab within the page that is being built."""
    gr.Markdown("Click on the plane to see what an emotion asks of music. Values are at the middle of the emotion; "
                "*low* and *high* bound the eighth of the corpus that it falls in.")  # fmt: skip
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            plane = widgets.emotion_plane("explore-plane", [_START])
        with gr.Column(scale=3, min_width=320):
            asked = gr.HTML(_asked({"points": [_START]}), elem_id="asked-of")
    plane.input(_asked, plane, asked, show_progress="hidden", queue=False, api_visibility="private")
    with gr.Accordion("What was learnt from labelled pieces", open=False):
        for name, caption in FIGURES:
            if (data_path("attributes") / name).is_file():
                gr.HTML(widgets.figure(f"figures/{name}", caption))
    with gr.Accordion(f"All {len(ATTRIBUTES)} attributes", open=False):
        rows = [(one.name, one.group, one.unit, one.definition) for one in ATTRIBUTES]
        gr.HTML(widgets.told([("Attributes", widgets.table(("name", "group", "unit", "definition"), rows))]),
                elem_classes="attributes")  # fmt: skip


def _asked(plane: dict[str, Any] | None) -> str:
    points = (plane or {}).get("points") or []
    if not points:
        return widgets.told([("What is asked", "Choose a place in the plane.")])
    try:
        rows = asked_of(points)
    except MuseError as error:
        return widgets.fault(str(error))
    names = ("attribute", "unit", "value", "low", "high", "weight")
    return widgets.told([("What is asked", widgets.table(names, [[row[name] for name in names] for row in rows]))])
