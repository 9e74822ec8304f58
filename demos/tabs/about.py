"""The tab that tells what the page runs on: models, what they were trained on, licences, limits.

Contents: :func:`build`.
"""

from __future__ import annotations

import gradio as gr

from demos import limits
from muse import __version__
from muse.tasks.explore import models

__all__ = ["build"]


def build() -> None:
    """Make the tab within the page that is being built."""
    gr.Markdown(f"""
Muse {__version__} turns an emotion into music that is written note by note, and tells which emotion a piece carries.
The emotion is asked for as valence (unpleasant to pleasant) and arousal (calm to energetic); what that means for music
was learnt from pieces that people labelled. Every piece is measured again after it was written; the page shows both.

Everything runs on the machine that serves this page: nothing that you give leaves it. Files and pieces are deleted when
you close the page, and after {limits.KEEP_SEC / 60:.0f} minutes at the latest. One request has at most
{limits.MAX_BARS} bars and {limits.MAX_CANDIDATES} candidates; a file at most {limits.MAX_UPLOAD_BYTES / 1e6:.0f} MB and
{limits.MAX_SOUND_SEC / 60:.0f} minutes.

The code is under the Apache licence 2.0. The cards below say what each model was trained on and under which licence it
stands.
""")
    for model in models():
        name = f"{model['name']} ({model['licence']})" if model["licence"] else model["name"]
        with gr.Accordion(name, open=False):
            gr.Markdown(model["card"], sanitize_html=True)
