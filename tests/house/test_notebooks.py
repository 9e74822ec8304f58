"""Notebooks are papers with their figures: executed in order, without faults, small. `make notebooks` runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_BYTES = 400_000


def test_there_are_five() -> None:
    assert len(NOTEBOOKS) == 5
    assert "make notebooks" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_it_ran(path: Path) -> None:
    assert path.stat().st_size < MAX_BYTES
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "make notebooks WRITE=--write"
    assert not [cell for cell in code if any(one["output_type"] == "error" for one in cell["outputs"])]
    assert sum(_is_picture(one) for cell in code for one in cell["outputs"]) >= 2
    assert not any("audio" in json.dumps(one) for cell in code for one in cell["outputs"])
    assert cells[0]["source"][0].startswith("# ")


def _is_picture(output: dict[str, Any]) -> bool:
    return "image/png" in output.get("data", {})
