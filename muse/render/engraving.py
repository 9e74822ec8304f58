"""Engraving: a score as sheet music in SVG, PDF or PNG, drawn by Verovio (extra ``score``).

SVG and PNG hold the whole piece on one long page, PDF has A4 pages. In SVG each note's group has the id that
:mod:`muse.render.notation` gives it: ``n`` and the note's number in :func:`muse.score.note_array`. The same score gives
the same SVG and PNG; a PDF differs in nothing either, as it is written without a date.

Contents: :func:`engrave`, :func:`write_sheet`.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from muse.errors import InputError, require
from muse.files import write_bytes
from muse.render.notation import SHEET_SUFFIXES, musicxml, write_musicxml
from muse.score import Score

__all__ = ["ENGRAVED_SUFFIXES", "engrave", "write_sheet"]

ENGRAVED_SUFFIXES: Final = (".pdf", ".svg", ".png")

_SVG: Final = "{http://www.w3.org/2000/svg}"
_PAGE_MM: Final = (210, 297)
_MARGIN_MM: Final = 12
_SCALE: Final = 40
"""Percent of Verovio's own size: staves of 7 mm, as in printed scores."""
_LONGEST_PAGE: Final = 60_000
"""Tenths of a millimeter, the most that Verovio takes."""
_LARGEST_PNG: Final = 30_000
"""Pixels in height."""
_MUSIC_FONT: Final = "Leipzig"
_EM: Final = 1000


def write_sheet(
    score: Score,
    path: str | Path,
    *,
    title: str | None = None,
    key: str | None = None,
    chords: Sequence[tuple[float, str]] = (),
) -> None:
    """Write a score as sheet music: MusicXML, PDF, SVG or PNG, by the ending of the name.

    Parameters
    ----------
    path
        Ends in one of :data:`muse.render.SHEET_SUFFIXES` or :data:`ENGRAVED_SUFFIXES`.
    score, title, key, chords
        As for :func:`muse.render.write_musicxml`.

    Raises
    ------
    InputError
        The ending is none of these, the score has no notes, or the file cannot be written.
    MissingExtraError
        Another ending than those of MusicXML, without the extra ``score``.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in SHEET_SUFFIXES:
        write_musicxml(score, path, title=title, key=key, chords=chords)
    elif ending in ENGRAVED_SUFFIXES:
        title = path.stem if title is None else title
        write_bytes(path, engrave(score, ending[1:], title=title, key=key, chords=chords))
    else:
        raise InputError(f"{path}: a sheet is {' or '.join((*SHEET_SUFFIXES, *ENGRAVED_SUFFIXES))}, not {ending!r}")


def engrave(
    score: Score, format: str = "svg", *, title: str = "", key: str | None = None, chords: Sequence[tuple[float, str]] = ()
) -> bytes:
    """Sheet music of a score.

    Parameters
    ----------
    format
        ``"svg"``, ``"png"`` or ``"pdf"``.
    score, title, key, chords
        As for :func:`muse.render.musicxml`.

    Returns
    -------
    bytes
        The picture or document.

    Raises
    ------
    InputError
        Another format, or as :func:`muse.render.musicxml`.
    MissingExtraError
        The extra ``score`` is not installed.
    """
    if f".{format}" not in ENGRAVED_SUFFIXES:
        raise InputError(f"a sheet is {' or '.join(one[1:] for one in ENGRAVED_SUFFIXES)}, not {format!r}")
    pages = _pages(musicxml(score, title=title, key=key, chords=chords), one_page=format != "pdf")
    if format == "svg":
        return pages[0].encode("utf-8")
    return _png(pages[0]) if format == "png" else _pdf(pages, title)


def _pages(document: bytes, *, one_page: bool) -> list[str]:
    """SVG of each page."""
    verovio = require("verovio", "score", "Engraving")
    verovio.enableLog(verovio.LOG_ERROR)
    toolkit = verovio.toolkit()
    width, height = (side * 1000 // _SCALE for side in _PAGE_MM)
    toolkit.setOptions(
        {
            "xmlIdSeed": 1, "svgHtml5": False, "smuflTextFont": "none", "font": _MUSIC_FONT, "footer": "none",
            "breaks": "auto", "scale": _SCALE, "pageWidth": width,
            "pageHeight": _LONGEST_PAGE if one_page else height, "adjustPageHeight": one_page,
            **{f"pageMargin{side}": _MARGIN_MM * 1000 // _SCALE for side in ("Left", "Right", "Top", "Bottom")},
        }
    )  # fmt: skip
    if not toolkit.loadData(document.decode("utf-8")):
        raise InputError("this score cannot be engraved: write it as MusicXML instead")
    n_pages = toolkit.getPageCount()
    if one_page and n_pages > 1:
        raise InputError(f"this score is too long for one picture ({n_pages} of the longest pages): write it as PDF")
    font = Path(toolkit.getResourcePath()) / _MUSIC_FONT
    return [_draw_music_in_text(toolkit.renderToSVG(number), font) for number in range(1, n_pages + 1)]


def _draw_music_in_text(page: str, font: Path) -> str:
    """Draw the notes that stand in texts (``♩ = 96``) as shapes, so that no viewer needs the music font."""
    ET.register_namespace("", _SVG[1:-1])
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(page)
    for group in root.iter():
        for text in [one for one in group if one.tag == f"{_SVG}text"]:
            spans = [one for one in text.iter(f"{_SVG}tspan") if (one.text or "").strip("\n ") or one.get("font-size")]
            if any(one.get("font-family") == _MUSIC_FONT for one in spans):
                _replace_text(group, text, spans, font)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _replace_text(group: ET.Element, text: ET.Element, spans: list[ET.Element], font: Path) -> None:
    """Put shapes and one plain text in the place of a text with music in it."""
    x, y = float(text.get("x", "0")), float(text.get("y", "0"))
    group.remove(text)
    words, size = "", 0.0
    for span in spans:
        content = re.sub(r"\s+", " ", span.text or "")
        if span.get("font-family") != _MUSIC_FONT:
            words += content
            size = float((span.get("font-size") or "0px")[:-2]) or size
            continue
        scale = float((span.get("font-size") or "0px")[:-2]) / _EM
        for sign in content.strip():
            shape = ET.fromstring((font / f"{ord(sign):04X}.xml").read_text(encoding="utf-8")).find("path")
            if shape is not None:
                attributes = {"transform": f"translate({x:g}, {y:g}) scale({scale:g}, {-scale:g})", "d": shape.get("d", "")}
                ET.SubElement(group, f"{_SVG}path", {**attributes, "stroke-width": "0"})
                x += _reach(shape.get("d", "")) * scale
    if words.strip():
        plain = ET.SubElement(group, f"{_SVG}text", {"x": f"{x:g}", "y": f"{y:g}", "font-size": f"{size:g}px"})
        plain.text = "\N{NO-BREAK SPACE}" + words.strip()


def _reach(path: str) -> float:
    """Width of a note head: where its path begins, doubled; enough to keep the text off it."""
    found = re.match(r"M(-?[\d.]+)", path)
    return 1.6 * float(found[1]) if found else 0.0


def _png(page: str) -> bytes:
    resvg = require("resvg_py", "score", "Engraving as PNG")
    height = re.search(r'height="([\d.]+)px"', page)
    zoom = min(2.0, _LARGEST_PNG / float(height[1])) if height else 2.0
    return bytes(resvg.svg_to_bytes(svg_string=page, background="white", zoom=zoom, serif_family="Times New Roman"))


def _pdf(pages: Sequence[str], title: str) -> bytes:
    graphics = require("reportlab.graphics.renderPDF", "score", "Engraving as PDF")
    canvas_of = require("reportlab.pdfgen.canvas", "score", "Engraving as PDF").Canvas
    svglib = require("svglib.svglib", "score", "Engraving as PDF")
    buffer = io.BytesIO()
    points = tuple(side / 25.4 * 72 for side in _PAGE_MM)
    canvas = canvas_of(buffer, pagesize=points, invariant=True, pageCompression=1)
    canvas.setTitle(title)
    canvas.setCreator("Muse")
    for page in pages:
        drawing = svglib.svg2rlg(io.StringIO(page))
        share = points[0] / drawing.width
        drawing.scale(share, share)
        graphics.draw(drawing, canvas, 0, points[1] - drawing.height * share)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()
