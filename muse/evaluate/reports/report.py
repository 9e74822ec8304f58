"""Writing an evaluation: its page as Markdown and as one HTML file that can be sent to anyone, figures and charts.

Contents: :func:`write_report`.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from muse.evaluate.metrics.music import METRICS
from muse.evaluate.reports.charts import MOODS, draw_charts, system_titles
from muse.evaluate.reports.template import render
from muse.files import write_json, write_text

__all__ = ["write_report"]

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
    text = _page(document)
    write_text(out / f"{NAME}.md", text)
    write_text(out / f"{NAME}.html", _html(text, out))
    write_json(document, out / f"{NAME}.json")


def _page(document: dict[str, Any]) -> str:
    """The Markdown page."""
    if document["kind"] == "music":
        return render("music.md", document).rstrip() + "\n"
    values = {
        **document,
        "judge_names": {name: title for name, title in JUDGES.items() if name in document["judges"]},
        "metric_names": {name: metric.meaning for name, metric in METRICS.items()},
        "moods": MOODS,
        "space_names": SPACES,
        "titles": system_titles(document),
    }
    return render(f"{document['kind']}.md", values).rstrip() + "\n"


def _html(text: str, out: Path) -> str:
    """The Markdown page with the charts inside it."""
    from markdown import markdown

    def inside(match: re.Match[str]) -> str:
        data = base64.b64encode((out / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{data}"'

    body = re.sub(r'src="([^":]+\.png)"', inside, markdown(text, extensions=["tables", "sane_lists"]))
    return render("page.html", {"title": text.partition("\n")[0].lstrip("# "), "body": body})
