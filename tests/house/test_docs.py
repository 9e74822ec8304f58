"""The documentation follows the tree: a page for each room with all its modules, and each of them in the navigation."""

from __future__ import annotations

from types import ModuleType

import pytest
from repository import ROOT, script


@pytest.fixture(scope="module")
def api_pages() -> ModuleType:
    return script("docs/api_pages.py")


def test_every_room_has_a_page_with_all_its_modules(api_pages: ModuleType) -> None:
    wanted = api_pages.pages()
    there = {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md")}
    assert wanted == {path: text for path, text in there.items() if path.name != "index.md"}, "python docs/api_pages.py"


def test_every_room_is_in_the_navigation_and_on_the_map(api_pages: ModuleType) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    the_map = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    for room in api_pages.rooms():
        assert f"{room}: api/{room}.md" in navigation
        assert f"[{room}]({room}.md)" in the_map
