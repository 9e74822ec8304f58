"""MkDocs hooks.

Docstrings name things in Sphinx roles (``:class:`Emotion```); pages show the name alone. The gallery lies outside the
documentation, in ``demos/gallery``; the site carries it as ``gallery/``, and links to it work in both places.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):(?=<code>)")


_DEMOS = Path(__file__).parents[1] / "demos"
_GALLERY = "../demos/gallery/"


def on_files(files: Any, config: Any) -> Any:
    """Called with the files of the site; see the MkDocs manual on plugin events."""
    from mkdocs.structure.files import File

    gallery = _DEMOS / "gallery"
    for path in (gallery / "index.html", *sorted((gallery / "pieces").iterdir())):
        name = path.relative_to(_DEMOS).as_posix()
        files.append(File(name, str(_DEMOS), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called for every page."""
    return markdown.replace(_GALLERY, "gallery/")


def on_page_content(html: str, **_: object) -> str:
    """Called for every page."""
    return _ROLE.sub("", html)
