"""Writes the pages of ``docs/api``: a page for each room, with every public module of it, and the map of all rooms.

``python docs/api_pages.py`` writes them; a test compares them with the tree.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "muse"


def rooms() -> dict[str, list[str]]:
    """Modules of every room, in the order in which they are read: the room's own page first."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if (parts[-1].startswith("_") and parts[-1] != "__init__") or parts == ("__init__",):
            continue
        module = ".".join(("muse", *parts)).removesuffix(".__init__")
        if parts[-1] == "__init__" and not _has_code(path):
            continue
        found.setdefault(parts[0], []).append(module)
    return found


def page(room: str, modules: list[str]) -> str:
    """The page of a room."""
    return "\n\n".join([f"# {room}", *(f"::: {module}" for module in modules)]) + "\n"


def pages() -> dict[Path, str]:
    """Every page by its path."""
    return {ROOT / "docs" / "api" / f"{room}.md": page(room, modules) for room, modules in rooms().items()}


def _has_code(path: Path) -> bool:
    """Whether a package's own module defines something, rather than only naming what its modules make."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_") for node in tree.body)


def main() -> None:
    """Write all pages, and remove those of rooms that are gone."""
    wanted = pages()
    for old in (ROOT / "docs" / "api").glob("*.md"):
        if old not in wanted and old.name != "index.md":
            old.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
