"""Writing an evaluation: its page as Markdown and as one HTML file that can be sent to anyone, figures and charts.

Contents: :data:`TEMPLATES`, :func:`write_report`, :func:`evaluation_page`.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from muse.evaluate.metrics.music import METRICS
from muse.evaluate.reports.charts import MOODS, draw_charts, system_titles
from muse.files import write_json, write_text
from muse.pages import render

__all__ = ["TEMPLATES", "evaluation_page", "write_report"]

TEMPLATES = Path(__file__).with_name("templates")
"""The pages of what is measured."""

NAME = "evaluation"
"""Of the files: ``evaluation.html`` and so on."""
JUDGES = {"primary": "feature judge", "second": "phrase judge", "selector": "selector"}
SPACES = {"features": "feature judge's features", "selector": "selector's embedding"}


def write_report(document: dict[str, Any], out: str | Path) -> None:
    """Write ``evaluation.html``, ``.md`` and ``.json``, and charts in ``evaluation/``.

    Parameters
    ----------
    document
        As :func:`muse.evaluate.evaluate_composer`, :func:`muse.evaluate.evaluate_music` or
        :func:`muse.evaluate.evaluate_folder` gives it.
    out
        Folder, made if absent.
    """
    out = Path(out)
    if document["kind"] != "music":
        draw_charts(document, out / NAME)
    text = evaluation_page(document)
    write_text(out / f"{NAME}.md", text)
    write_text(out / f"{NAME}.html", _html(text, out))
    write_json(document, out / f"{NAME}.json")


def evaluation_page(document: dict[str, Any]) -> str:
    """The Markdown page of a document, which names the charts that stand beside it."""
    if document["kind"] == "music":
        return render(TEMPLATES / "music.md.j2", document).rstrip() + "\n"
    values = {
        **document,
        "judge_names": {name: title for name, title in JUDGES.items() if name in document["judges"]},
        "metric_names": {name: metric.meaning for name, metric in METRICS.items()},
        "moods": MOODS,
        "space_names": SPACES,
        "titles": system_titles(document),
    }
    return render(TEMPLATES / f"{document['kind']}.md.j2", values).rstrip() + "\n"


def _html(text: str, out: Path) -> str:
    """The Markdown page with the charts inside it."""
    from markdown import markdown

    def inside(match: re.Match[str]) -> str:
        data = base64.b64encode((out / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{data}"'

    body = re.sub(r'src="([^":]+\.png)"', inside, markdown(text, extensions=["tables", "sane_lists"]))
    return render(TEMPLATES / "page.html.j2", {"title": text.partition("\n")[0].lstrip("# "), "body": body})
