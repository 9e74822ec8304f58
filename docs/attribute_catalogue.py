"""Write ``docs/attributes.md`` from the catalogue: ``python docs/attribute_catalogue.py``."""

from __future__ import annotations

from pathlib import Path

from muse.attributes.catalogue import ATTRIBUTES, COLUMNS, SECTION_CONTROLS, SONG_CONTROLS


def page() -> str:
    """The catalogue as a page: ``docs/attributes.md`` is this text."""
    n_jsymbolic = sum(row.source.startswith("jSymbolic 2.2") for row in ATTRIBUTES)
    lines = [
        "# Attribute catalogue",
        "",
        "<!-- Written by `python docs/attribute_catalogue.py`. -->",
        "",
        f"{len(ATTRIBUTES)} attributes with {len(COLUMNS)} columns, {n_jsymbolic} of them under the names and "
        "definitions of jSymbolic 2.2. `muse.attributes.extract(score, names=[...], bars=16)` measures them; columns "
        "of a histogram are called `Name_0`, `Name_1` and so on. A beat is a quarter note. Undefined values are NaN.",
        "",
        "*Needs* says what must be right in a file for the value to mean something: *notes* nothing else, *beats* "
        "that the file's quarter notes are beats, *bars* that its bar lines are bars. Song and section controls, which "
        "steer the generator, are marked **S** and **s**.",
        "",
    ]
    for group in dict.fromkeys(row.group for row in ATTRIBUTES):
        rows = [row for row in ATTRIBUTES if row.group == group]
        lines += [
            f"## {group.capitalize()} ({len(rows)})",
            "",
            "| attribute | unit | range | needs | definition | source |",
            "|---|---|---|---|---|---|",
        ]
        for row in rows:
            marks = " **S**" * (row.name in SONG_CONTROLS) + " **s**" * (row.name in SECTION_CONTROLS)
            size = f" [{row.size}]" if row.size > 1 else ""
            span = f"{row.low:g} … {row.high:g}".replace("inf", "∞")
            definition = row.definition.replace("|", "\\|")
            cells = (f"{row.name}{size}{marks}", row.unit, span, row.needs, definition, row.source)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    Path(__file__).with_name("attributes.md").write_text(page(), encoding="utf-8")
