"""Write ``docs/attributes.md`` from the catalogue: ``python docs/attribute_catalogue.py``."""

from __future__ import annotations

from pathlib import Path

from muse.attributes.catalogue import as_markdown

if __name__ == "__main__":
    Path(__file__).with_name("attributes.md").write_text(as_markdown(), encoding="utf-8")
