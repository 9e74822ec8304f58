"""Pages follow from their figures, write figures as they say, and show what is not ours as plain text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest
from repository import ROOT, script

from muse.evaluate.reports import TEMPLATES, write_report
from muse.pages import figure, interval, render


def stored(name: str) -> Any:
    return json.loads((ROOT / "docs" / f"{name}.json").read_text(encoding="utf-8"))


def test_figures_have_few_digits_and_a_mark_for_what_is_undefined() -> None:
    assert [figure(x) for x in (0.125, -1.0, 9.994, 10.4, None)] == ["0.12", "-1.00", "9.99", "10", "?"]
    assert figure(0.98765, 3) == "0.988"
    assert interval([0.1, None]) == "[0.10, ?]"
    assert interval([8.0, 9.5], 0) == "[8, 10]"


def test_the_page_of_the_selector_follows_from_its_figures() -> None:
    module = script("benchmarks/selector_report.py")
    assert module.page(stored("selector")) == (ROOT / "docs" / "selector.md").read_text(encoding="utf-8")


def test_a_figure_that_is_missing_is_an_error_and_no_blank() -> None:
    document = stored("selector")
    del document["quality"]["n"]
    with pytest.raises(jinja2.UndefinedError, match="no attribute 'n'"):
        render(TEMPLATES / "selector.md.j2", {**document, "published": []})


def test_names_of_files_have_no_effect_as_markup(tmp_path: Path) -> None:
    document = stored("evaluation")
    name = "<script>alert(1)</script>[x](javascript:alert(2))`.mid"
    folder = {
        "kind": "folder",
        "settings": {"folder": "<b>songs</b>", "n_files": 2, "n_reference": 8},
        "judges": document["judges"],
        "systems": {"human": document["systems"]["human"], "folder": document["systems"]["muse"]},
        "ranges": document["ranges"],
        "broken": [{"file": name, "error": f"{name}: is no MIDI"}],
    }
    write_report(folder, tmp_path)
    page = (tmp_path / "evaluation.html").read_text(encoding="utf-8")
    assert "<script" not in page and "<b>" not in page and 'href="javascript' not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;[x](javascript:alert(2))`.mid") == 2
    assert "<title>Evaluation of &lt;b&gt;songs&lt;/b&gt;</title>" in page
