"""MkDocs hook: docstrings name things in Sphinx roles (``:class:`Emotion```); pages show the name alone."""

from __future__ import annotations

import re

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):(?=<code>)")


def on_page_content(html: str, **_: object) -> str:
    """Called for every page; see the MkDocs manual on plugin events."""
    return _ROLE.sub("", html)
