"""Parts of the page that Gradio has none of: the emotion plane, the player, and texts that show what was said safely.

Conventions
-----------
safe
    Whatever comes from a visitor or a file is escaped here, or set as text by the scripts; no other module makes HTML.

Contents: :func:`emotion_plane`, :func:`player`, :func:`shown_piece`, :func:`shown_bars`; :func:`told`,
:func:`progress`, :func:`fault`, :func:`table`, :func:`picture`, :func:`figure`, :func:`sentence`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr
import numpy as np
from markupsafe import Markup

from muse.composer import WrittenBar
from muse.score import Notes, bar_grid, beat_to_sec, note_array, tempo_map
from muse.tasks.formats import formats
from muse.theory import instrument_name

if TYPE_CHECKING:
    from demos.work import Made

__all__ = [
    "STYLE",
    "emotion_plane",
    "fault",
    "figure",
    "picture",
    "player",
    "progress",
    "sentence",
    "shown_bars",
    "shown_piece",
    "table",
    "told",
]

_STATIC = Path(__file__).parent / "static"
STYLE = (_STATIC / "page.css").read_text(encoding="utf-8")


def emotion_plane(elem_id: str, points: Sequence[tuple[float, float]] = ()) -> gr.HTML:
    """The valence-arousal plane; its value is ``{"points": [[valence, arousal], ...], "heard": [v, a] or None}``."""
    return gr.HTML(
        {"points": [list(point) for point in points], "heard": None},
        html_template=(
            '<div class="plane"><svg viewBox="0 0 320 320" role="application" tabindex="0"></svg>'
            '<div class="buttons"><button type="button" data-mode aria-pressed="false">Draw an arc</button>'
            '<button type="button" data-clear>Clear</button><output aria-live="polite"></output></div></div>'
        ),
        js_on_load=(_STATIC / "plane.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def player(elem_id: str) -> gr.HTML:
    """Piano rolls with sound and downloads; its value is made by :func:`shown_bars`, then by :func:`shown_piece`."""
    return gr.HTML(
        None,
        html_template='<div class="player"></div>',
        js_on_load=(_STATIC / "player.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def shown_piece(made: Made, token: str) -> dict[str, Any]:
    """What the player shows of a piece: its candidates with notes ``[onset_s, duration_s, pitch, velocity, n]`` (n
    counts their instruments), the seconds at which bars start, and addresses."""
    return {
        "base": f"pieces/{token}",
        "seed": made.piece.seed,
        "link": _link(made),
        "formats": formats(),
        "candidates": [_candidate(one) for one in made.piece.candidates],
    }


def shown_bars(bars: Sequence[WrittenBar]) -> dict[str, Any]:
    """What the player shows of a candidate of which these bars, one or more, are written: as :func:`shown_piece`, but
    nothing to listen to yet."""
    last = bars[-1]
    one = {
        "seconds": round(last.n_bars * last.seconds, 3),
        "bars": [round(bar * last.seconds, 3) for bar in range(last.n_bars)],
        "chords": [bar.chords for bar in bars],
        **_roll(np.concatenate([bar.notes for bar in bars])),
    }
    return {"base": None, "candidates": [one]}


def _candidate(candidate: Any) -> dict[str, Any]:
    notes, grid = note_array(candidate.score), bar_grid(candidate.score)
    end = float((notes["onset_sec"] + notes["duration_sec"]).max(initial=1.0))
    bars = beat_to_sec(tempo_map(candidate.score), grid.start_beat[:-1])
    summary = f"{candidate.merit:.2f}"
    if candidate.ratings is not None:
        summary += f" · {candidate.ratings.emotion.quadrant} · quality {candidate.ratings.quality:.2f}"
    return {
        "summary": summary,
        "seconds": round(end, 3),
        "bars": [round(float(second), 3) for second in bars],
        **_roll(notes),
    }


def _roll(notes: Notes) -> dict[str, Any]:
    """Notes for a piano roll, and the instruments that they count."""
    programs = list(dict.fromkeys(int(program) for program in notes["program"]))
    return {
        "instruments": [instrument_name(program) for program in programs],
        "notes": [
            [
                round(float(n["onset_sec"]), 3), round(float(n["duration_sec"]), 3), int(n["pitch"]),
                int(n["velocity"]), programs.index(int(n["program"])),
            ]
            for n in notes
        ],
    }  # fmt: skip


def _link(made: Made) -> str | None:
    """Address that makes the piece again; None where a file was part of the request."""
    from muse.tasks.request import FILES

    if any(getattr(made.request, name) is not None for name in FILES):
        return None
    fields = {**made.request.to_fields(), "seed": made.piece.seed}
    return "?request=" + quote(json.dumps(fields, ensure_ascii=False, sort_keys=True), safe="")


def told(parts: Iterable[tuple[str, str]]) -> str:
    """Headings with texts; empty ones are left out. Only what this module made is taken for HTML."""
    shown = [
        Markup("<h3>{}</h3>{}").format(heading, text if isinstance(text, Markup) else Markup("<p>{}</p>").format(text))
        for heading, text in parts
        if text
    ]
    return Markup('<div class="told">{}</div>').format(Markup("").join(shown))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers are rounded."""
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in headings)
    body = Markup("").join(Markup("<tr>{}</tr>").format(Markup("").join(_cell(cell) for cell in row)) for row in rows)
    whole = '<div class="table"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    return Markup(whole).format(head, body)


def _cell(value: object) -> Markup:
    if not isinstance(value, (int, float)):
        return Markup("<td>{}</td>").format(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return Markup('<td class="number">–</td>')
    return Markup('<td class="number">{}</td>').format(f"{value:.3g}" if abs(value) >= 0.001 else "0")


def progress(text: str, share: float) -> str:
    """How far something is, with a bar; *share* is 0..1."""
    bar = '<div class="status" role="status"><progress max="1" value="{:.3f}" aria-label="progress"></progress>{}</div>'
    return Markup(bar).format(share, text)


def fault(text: str) -> str:
    """What went wrong, in one line."""
    return Markup('<div class="status"><div class="fault" role="alert">{}</div></div>').format(" ".join(text.split()))


def picture(png: bytes, description: str) -> str:
    """A picture within the page."""
    data = base64.b64encode(png).decode("ascii")
    return Markup('<div class="picture"><img alt="{}" src="data:image/png;base64,{}"></div>').format(description, data)


def figure(address: str, caption: str) -> str:
    """A picture at an address of this page, with what it shows below."""
    whole = '<figure class="picture"><img loading="lazy" alt="{0}" src="{1}"><figcaption>{0}</figcaption></figure>'
    return Markup(whole).format(caption, address)


def sentence(text: str) -> str:
    """A text with a capital letter in front and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."
