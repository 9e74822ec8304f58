"""The page of licences is that of pins, checkpoints and soundfonts; the audit knows what an advisory means."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from repository import ROOT, script

from muse.render import sound


@pytest.fixture(scope="module")
def licences() -> ModuleType:
    return script("docs/licences.py")


def rows(heading: str) -> list[list[str]]:
    """Cells of the table below a heading of the page."""
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    part = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")][1:]


def test_every_pin_has_its_row_and_a_licence(licences: ModuleType) -> None:
    found = rows("Packages")
    assert [tuple(row[:2]) for row in found] == list(licences.pins().items()), "make licences"
    assert not [row[0] for row in found if row[2] in ("", "not known", "not said")]


def test_every_checkpoint_and_soundfont_has_its_row(licences: ModuleType) -> None:
    there = sorted(path.parent.name for path in (ROOT / "checkpoints").glob("*/config.json"))
    assert [row[0] for row in rows("Models")] == there, "make licences"
    assert all(row[2] != "not said" for row in rows("Models"))
    assert tuple(licences.SOUNDFONTS) == sound._SOUNDFONTS
    assert [row[0] for row in rows("Soundfonts")] == list(sound._SOUNDFONTS), "make licences"


def test_everything_declared_is_pinned(licences: ModuleType) -> None:
    assert not [line for line in licences.differences() if "is asked for by" in line or "does not allow" in line]


@pytest.mark.parametrize(
    ("version", "events", "is_bad"),
    [
        ("1.9", [{"introduced": "0"}, {"fixed": "2.0"}], True),
        ("2.0", [{"introduced": "0"}, {"fixed": "2.0"}], False),
        ("2.0", [{"introduced": "0"}, {"last_affected": "2.0"}], True),
        ("2.1", [{"introduced": "0"}, {"last_affected": "2.0"}], False),
        ("3.5", [{"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"}], True),
        ("2.5", [{"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"}], False),
        ("1.10", [{"introduced": "1.9"}], True),
    ],
)
def test_a_version_lies_in_the_range_of_an_advisory_or_not(
    licences: ModuleType, version: str, events: Any, is_bad: bool
) -> None:
    assert licences.is_affected(version, {"ranges": [{"type": "ECOSYSTEM", "events": events}]}) is is_bad


def test_advisories_are_read_from_a_zip(licences: ModuleType, tmp_path: Path) -> None:
    version = licences.pins()["Jinja2"]

    def advisory(name: str, ecosystem: str = "PyPI", **more: Any) -> str:
        affected = [{"package": {"ecosystem": ecosystem, "name": name}, "versions": [version]}]
        return json.dumps({"id": f"X-{name}", "summary": "Bad.", "affected": affected, **more})

    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("1.json", advisory("jinja2"))
        archive.writestr("2.json", advisory("Jinja2", "npm"))
        archive.writestr("3.json", advisory("JINJA2", withdrawn="2026-01-01T00:00:00Z"))
        archive.writestr("4.json", advisory("numpy"))
    assert list(licences.known_bad(tmp_path / "all.zip")) == [f"jinja2 {version}: X-jinja2 Bad."]
