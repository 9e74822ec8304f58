"""Engraving: a score as sheet music in SVG, PDF or PNG, drawn by Verovio (extra ``score``).

SVG and PNG hold the whole piece on one long page, PDF has A4 pages. In SVG each note's group has the id that
:mod:`muse.render.notation` gives it: ``n`` and the note's number in :func:`muse.score.note_array`. The same score gives
the same SVG and PNG; a PDF differs in nothing either, as it is written without a date.

Contents: :func:`engrave`, :func:`engrave_musicxml`, :func:`write_sheet`.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from muse.errors import InputError, require
from muse.files import write_bytes
from muse.render.notation import MUSICXML_SUFFIXES, musicxml, write_musicxml
from muse.score import Score

__all__ = ["SHEET_SUFFIXES", "engrave", "engrave_musicxml", "write_sheet"]

SHEET_SUFFIXES: Final = (*MUSICXML_SUFFIXES, ".pdf", ".svg", ".png")
"""Endings that :func:`write_sheet` writes."""
_FORMATS: Final = ("svg", "png", "pdf")

_SVG: Final = "{http://www.w3.org/2000/svg}"
_PAGE_MM: Final = (210, 297)
_MARGIN_MM: Final = 12
_UNITS_PER_MM: Final = 11.5
"""Verovio's own are 10, with staves of 7.2 mm; so they have 6.3, as in printed piano music."""
_SCALE: Final = 40
"""Percent: pixels in SVG for a unit."""
_LONGEST_PAGE: Final = 60_000
"""Units, the most that Verovio takes."""
_PNG_ZOOM: Final = 2.0
_LARGEST_PNG: Final = 30_000
"""Pixels in height."""
_MUSIC_FONT: Final = "Leipzig"
_EM: Final = 1000
_IN_WORDS: Final = str.maketrans({"\uea64": "b", "\uea66": "#"})
"""Accidentals of chord symbols in the music font -> as they are typed, for they stand within words."""


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
        Ends in one of :data:`SHEET_SUFFIXES`.
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
    if ending not in SHEET_SUFFIXES:
        raise InputError(f"{path}: a sheet is {' or '.join(SHEET_SUFFIXES)}, not {ending!r}")
    if ending in MUSICXML_SUFFIXES:
        write_musicxml(score, path, title=title, key=key, chords=chords)
    else:
        title = path.stem if title is None else title
        write_bytes(path, engrave(score, ending[1:], title=title, key=key, chords=chords))


def engrave(
    score: Score,
    format: str = "svg",
    *,
    title: str = "",
    key: str | None = None,
    chords: Sequence[tuple[float, str]] = (),
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
    return engrave_musicxml(musicxml(score, title=title, key=key, chords=chords), format, title=title)


def engrave_musicxml(document: bytes, format: str = "svg", *, title: str = "") -> bytes:
    """Sheet music of a MusicXML document of ours, as :func:`engrave` gives it; *title* is that of a PDF."""
    if format not in _FORMATS:
        raise InputError(f"a sheet is {' or '.join(_FORMATS)}, not {format!r}")
    pages = _pages(document, one_page=format != "pdf")
    if format == "svg":
        return pages[0].encode("utf-8")
    return _png(pages[0]) if format == "png" else _pdf(pages, title)


def _pages(document: bytes, *, one_page: bool) -> list[str]:
    """SVG of each page."""
    verovio = require("verovio", "score", "Engraving")
    verovio.enableLog(verovio.LOG_ERROR)
    toolkit = verovio.toolkit()
    width, height = (round(side * _UNITS_PER_MM) for side in _PAGE_MM)
    toolkit.setOptions(
        {
            "xmlIdSeed": 1, "svgHtml5": False, "smuflTextFont": "none", "font": _MUSIC_FONT, "footer": "none",
            "breaks": "auto", "scale": _SCALE, "pageWidth": width,
            "pageHeight": _LONGEST_PAGE if one_page else height, "adjustPageHeight": one_page,
            **{f"pageMargin{side}": round(_MARGIN_MM * _UNITS_PER_MM) for side in ("Left", "Right", "Top", "Bottom")},
        }
    )  # fmt: skip
    if not toolkit.loadData(document.decode("utf-8")):
        raise InputError("this score cannot be engraved: write it as MusicXML instead")
    n_pages = toolkit.getPageCount()
    if one_page and n_pages > 1:
        raise InputError(f"this score is too long for one picture ({n_pages} of the longest pages): write it as PDF")
    font = Path(toolkit.getResourcePath()) / _MUSIC_FONT
    return [_simplify(toolkit.renderToSVG(number), font) for number in range(1, n_pages + 1)]


def _simplify(page: str, font: Path) -> str:
    """The same picture in fewer means, as not every viewer knows all: one coordinate system in the place of two, each
    text in one piece, and notes within texts (``♩ = 96``) as shapes, so that no viewer needs the music font."""
    ET.register_namespace("", _SVG[1:-1])
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(page)
    inner = root.find(f"{_SVG}svg")
    if inner is not None and (box := inner.attrib.pop("viewBox", None)):
        inner.tag = f"{_SVG}g"
        root.set("viewBox", box)
    for group in list(root.iter()):
        for text in [one for one in group if one.tag == f"{_SVG}text"]:
            group.remove(text)
            for run in _runs(text):
                _write_run(group, run, font)
    return ET.tostring(root, encoding="unicode") + "\n"


@dataclass
class _Run:
    """Words that follow one another from a place on."""

    place: dict[str, str]
    """x, y and the anchor."""
    spans: list[tuple[str, bool, float]] = field(default_factory=list)
    """Content, whether it is in the music font, size."""


def _runs(text: ET.Element) -> list[_Run]:
    runs = [_Run({"x": "0", "y": "0"})]

    def walk(element: ET.Element, size: float) -> None:
        place = {name: value for name in ("x", "y", "text-anchor") if (value := element.get(name)) is not None}
        if "x" in place:
            runs.append(_Run({**runs[-1].place, **place}))
        else:
            runs[-1].place.update(place)
        size = float(element.get("font-size", f"{size}px").removesuffix("px"))
        if (element.text and element.text.strip("\n ")) or (element.text and not element.text.count("\n")):
            text = element.text.strip("\n")
            plain = text.translate(_IN_WORDS)
            runs[-1].spans.append((plain, element.get("font-family") == _MUSIC_FONT and plain == text, size))
        for child in element:
            if child.tag == f"{_SVG}tspan":
                walk(child, size)

    walk(text, 0.0)
    return [run for run in runs if run.spans]


def _write_run(group: ET.Element, run: _Run, font: Path) -> None:
    """Shapes for what is in the music font, then the words."""
    x, y = float(run.place["x"]), float(run.place["y"])
    for content, music, size in run.spans:
        for sign in content.strip() if music else "":
            shape = ET.fromstring((font / f"{ord(sign):04X}.xml").read_text(encoding="utf-8")).find("path")
            if shape is not None:
                scale, outline = size / _EM, shape.get("d", "")
                move = f"translate({x:g}, {y:g}) scale({scale:g}, {-scale:g})"
                ET.SubElement(group, f"{_SVG}path", {"transform": move, "d": outline, "stroke-width": "0"})
                x += _reach(outline) * scale
    words = "".join(content for content, music, _ in run.spans if not music).strip()
    if words:
        size = next(size for _, music, size in run.spans if not music)
        place = {**run.place, "x": f"{x:g}", "font-size": f"{size:g}px"}
        ET.SubElement(group, f"{_SVG}text", place).text = re.sub(r"\s+", " ", words)


def _reach(outline: str) -> float:
    """How far right of a note the words begin: its outline starts at the left third of the head."""
    found = re.match(r"M(-?[\d.]+)", outline)
    return 2.2 * float(found[1]) if found else 0.0


def _png(page: str) -> bytes:
    resvg = require("resvg_py", "score", "Engraving as PNG")
    import matplotlib as mpl

    # Fonts that are always there make the same picture on every machine.
    fonts = sorted((Path(mpl.get_data_path()) / "fonts" / "ttf").glob("STIXGeneral*.ttf"))
    height = re.search(r'height="([\d.]+)px"', page)
    zoom = min(_PNG_ZOOM, _LARGEST_PNG / float(height[1])) if height else _PNG_ZOOM
    picture = resvg.svg_to_bytes(
        svg_string=page, background="white", zoom=zoom, skip_system_fonts=True, font_files=[str(one) for one in fonts],
        font_family="STIXGeneral", serif_family="STIXGeneral",
    )  # fmt: skip
    return bytes(picture)


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
