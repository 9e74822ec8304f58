"""Files of plans: one door for every format, by the ending of the name.

========================== ==========================================================================================
``.abc``                   ABC notation, read and written; exact
``.musicxml .xml .mxl``    MusicXML lead sheets, read (``.mxl`` is the compressed form) and written; exact
``.json``                  what :meth:`muse.tokens.plan.Plan.to_json` gives, read and written; exact
``.svg .pdf .png``         engraved as a lead sheet, written (extra ``score``)
``.mid .midi``             tune and block chords, written; a MIDI file has no plan, reading finds one
========================== ==========================================================================================

Exact: the plan that is read equals the one that was written, as far as its tune is one voice (a note ends where the
next begins, and with the last bar). Tempo is kept to six digits, labels of sections without line ends.

Contents: :func:`read_plan`, :func:`write_plan`, :func:`read_tune`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from muse.errors import InputError
from muse.files import read_json, write_bytes, write_json, write_text
from muse.render.engraving import engrave_musicxml
from muse.render.lead_sheet import lead_sheet
from muse.render.notation import MUSICXML_SUFFIXES
from muse.score import Score, read_score, write_score
from muse.sheets.abc import parse_abc, write_abc
from muse.sheets.extract import extract_plan, find_tune
from muse.sheets.follows import REMARK, write_follows
from muse.sheets.musicxml import MAX_BYTES, parse_musicxml
from muse.sheets.playing import block_chords
from muse.tokens.plan import Plan

__all__ = ["PLAN_SUFFIXES", "READ_SUFFIXES", "read_plan", "read_tune", "write_plan"]

_ABC, _JSON, _COMPRESSED, _MIDI = ".abc", ".json", ".mxl", (".mid", ".midi")
_PICTURES: Final = (".svg", ".pdf", ".png")
PLAN_SUFFIXES: Final = (_ABC, *MUSICXML_SUFFIXES, _JSON, *_PICTURES, *_MIDI)
"""Endings that :func:`write_plan` writes."""
READ_SUFFIXES: Final = (_ABC, *MUSICXML_SUFFIXES, _COMPRESSED, _JSON, *_MIDI)
"""Endings that :func:`read_plan` and :func:`read_tune` read."""


def write_plan(plan: Plan, path: str | Path, *, title: str | None = None) -> None:
    """Write a plan in the format of the name's ending.

    Parameters
    ----------
    path
        Ends in one of :data:`PLAN_SUFFIXES`.
    title
        Heading of the sheet; the file's name without ending when None.

    Raises
    ------
    InputError
        Another ending, a plan without bars (JSON aside), or the file cannot be written.
    MissingExtraError
        A picture, without the extra ``score``.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in PLAN_SUFFIXES:
        raise InputError(f"{path}: a plan is written as {', '.join(PLAN_SUFFIXES)}, not {ending!r}")
    if not plan.bars and ending != _JSON:
        raise InputError(f"{path}: the plan has no bars, so there is nothing to write")
    title = path.stem if title is None else title
    if ending == _JSON:
        write_json(plan.to_json(), path)
    elif ending == _ABC:
        write_text(path, write_abc(plan, title=title))
    elif ending in _MIDI:
        write_score(block_chords(plan), path)
    else:
        remark = write_follows(plan)
        document = lead_sheet(plan, title=title, remarks={REMARK: remark} if remark else None)
        is_picture = ending in _PICTURES
        write_bytes(path, engrave_musicxml(document, ending[1:], title=title) if is_picture else document)


def read_plan(path: str | Path) -> Plan:
    """Read a plan; from a MIDI file the one that :func:`muse.sheets.extract_plan` finds.

    Raises
    ------
    InputError
        Another ending than :data:`READ_SUFFIXES`, or the file cannot be read; names file, place and reason.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in _MIDI:
        return _about(path, extract_plan, read_score(path))
    if ending == _JSON:
        return _about(path, Plan.from_json, read_json(path))
    if ending == _ABC:
        return _about(path, parse_abc, _text(_bytes(path)))
    if ending in (*MUSICXML_SUFFIXES, _COMPRESSED):
        return _about(path, parse_musicxml, _bytes(path))
    raise InputError(f"{path}: a plan is read from {', '.join(READ_SUFFIXES)}, not {ending!r}")


def read_tune(source: str | Path | Score, *, time_signature: tuple[int, int] | None = None) -> Plan:
    """A plan with a tune alone: what :attr:`muse.composer.plan.PlanRequest.melody` takes.

    Parameters
    ----------
    source
        File that :func:`read_plan` reads, or a score, for example what a hummed tune is heard as. Of MIDI the track
        that is called a melody, else the top voice; put on sixteenths. A pick-up stands at the end of the first bar.
    time_signature
        Of the plan; None: what the source says, 4/4 where it says nothing. Bars are drawn anew where it is another,
        from the first bar line of the source.

    Returns
    -------
    Plan
        Key and tempo are those that the source says; the key that of the notes where it says none. A MIDI file that
        says C major says none: sequencers write it where nobody chose a key.

    Raises
    ------
    InputError
        There is no note, or as :func:`read_plan`.
    """
    if isinstance(source, Score):
        return find_tune(source, time_signature)
    path = Path(source)
    if path.suffix.lower() in _MIDI:
        score = read_score(path)
        if score.key_signatures and (score.key_signatures[0].key, score.key_signatures[0].tonality) == (0, 0):
            score.key_signatures.clear()
        return _about(path, lambda one: find_tune(one, time_signature), score)
    plan = read_plan(path)
    bars = tuple(replace(bar, chords=(), melody_lag=0, melody_exact=False, chords_lag=0) for bar in plan.bars)
    plan = replace(plan, bars=bars)
    if not any(bar.melody for bar in bars):
        raise InputError(f"{path}: it has no note to take a tune from")
    if time_signature is not None and time_signature != plan.time_signature:
        return _about(path, lambda one: find_tune(one, time_signature), block_chords(plan))
    return plan


def _about(path: Path, read: object, source: object) -> Plan:
    """What *read* makes of a source, with the file's name in its complaints."""
    try:
        return read(source)  # type: ignore[operator]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path} is no ordinary file: give a lead sheet")
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise InputError(f"{path}: {'no such file' if missing else f'cannot be read ({error.strerror})'}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: it has more than {MAX_BYTES:,} bytes: cut it into pieces")
    return data


def _text(data: bytes) -> str:
    """UTF-8; older files are in Latin-1."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
