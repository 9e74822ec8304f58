"""Several prompts joined into one intent, and music as long as a video.

Conventions
-----------
emotion
    Joined by precision (:mod:`muse.prompts.parsed`) at every position where one of the paths has a knot.
key
    Where words of another prompt say a direction, an example's mode gives way:
    :meth:`~muse.prompts.parsed.Parsed.towards`.

Contents: :func:`fuse`, :func:`lasting`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from muse.emotion import Emotion, EmotionPath
from muse.errors import InputError
from muse.intent import MAX_BARS, MAX_TEMPO_BPM, MIN_TEMPO_BPM, Intent
from muse.prompts.parsed import INTENT_FIELDS, Evidence, Parsed, weighted_mean
from muse.theory import parse_instrument

__all__ = ["fuse", "lasting"]

DEFAULT_TEMPO_BPM: Final = 100.0
"""Where a length is given and no tempo."""
CONFLICT_SIGMA: Final = 2.0
"""Readings further apart than so many joint standard deviations are said to disagree (5 % of agreeing pairs are)."""
STATED_BY: Final = ("words", "emoji", "tag")
"""Sources of emotions that people said themselves."""


def lasting(parsed: Parsed) -> Parsed:
    """The same prompt with whole bars and a tempo that together last exactly as long as the video that it came from.

    Parameters
    ----------
    parsed
        With a ``duration_sec`` row whose source is ``"file"``; any other prompt is returned as it is, for the length
        that a text asks for is a wish.

    Raises
    ------
    InputError
        No legal tempo and number of bars last so long.
    """
    row = next((row for row in parsed.evidence if row.field == "duration_sec" and row.source == "file"), None)
    if row is None:
        return parsed
    numerator, denominator = parsed.intent.meter
    bar_minutes = numerator * 4 / denominator / (parsed.intent.tempo_bpm or DEFAULT_TEMPO_BPM)
    bars = min(max(1, round(float(row.value) / 60 / bar_minutes)), MAX_BARS)
    tempo = bars * numerator * 4 / denominator * 60 / float(row.value)
    if not MIN_TEMPO_BPM <= tempo <= MAX_TEMPO_BPM:
        some = "one bar" if bars == 1 else f"{bars} bars"
        raise InputError(f"{row.words} lasts {row.value:g} s, which {some} cannot fill: cut it to 1 s .. 1 hour")
    how = f"{bars} bars at {tempo:.2f} BPM last {row.value:g} s"
    decided = [Evidence("bars", bars, how, 1.0, "file"), Evidence("tempo_bpm", tempo, how, 1.0, "file")]
    rest = [entry for entry in parsed.evidence if entry.field not in ("bars", "tempo_bpm")]
    rows = sorted([*rest, *decided], key=lambda entry: entry.field not in INTENT_FIELDS)
    return Parsed(replace(parsed.intent, bars=bars, tempo_bpm=tempo), tuple(rows))


def fuse(parts: Sequence[Parsed]) -> Parsed:
    """Join what several prompts say into one intent.

    Emotions are joined by precision (see the module), at every position where one of them has a knot; lists of
    instruments are joined; attributes too, later ones ruling; of any other field the surest row rules, the first
    among equals. Readings that disagree are still joined, but a ``conflict`` row says so.

    Parameters
    ----------
    parts
        At least one; their order breaks ties.

    Raises
    ------
    InputError
        There is nothing to join, or something that is no :class:`Parsed`.
    """
    parts = list(parts)
    if not parts or not all(isinstance(part, Parsed) for part in parts):
        raise InputError("fuse needs a list of parsed prompts, at least one, for example fuse([parse_text('sad')])")
    if len(parts) == 1:
        return parts[0]
    parts = [_turned(part, [other for other in parts if other is not part]) for part in parts]
    conflicts: list[Evidence] = []
    chosen: dict[str, Evidence] = {}
    for name in INTENT_FIELDS:
        stating = [part for part in parts if name in part.stated]
        if len(stating) == 1:
            chosen[name] = stating[0].stated[name]
        elif stating:
            chosen[name] = _JOINED.get(name, _surest)(name, stating, conflicts)
    intent = Intent(**{name: row.value for name, row in chosen.items()})
    rest = [row for part in parts for row in part.evidence if row.field not in INTENT_FIELDS]
    return Parsed(intent, (*chosen.values(), *conflicts, *rest))


def _turned(part: Parsed, others: Sequence[Parsed]) -> Parsed:
    """An example whose mode gives way to the emotion that other prompts state."""
    for other in others:
        row = other.stated.get("emotion")
        if row is not None and row.source in STATED_BY:
            part = part.towards(row.value, row.words)
    return part


def _surest(name: str, parts: Sequence[Parsed], conflicts: list[Evidence]) -> Evidence:
    rows = [part.stated[name] for part in parts]
    best = max(rows, key=lambda row: row.confidence)
    values = [getattr(part.intent, name) for part in parts]
    if any(value != values[0] for value in values) and name != "bars":
        said = " against ".join(f"{row.value} ({row.words!r})" for row in rows)
        conflicts.append(Evidence("conflict", name, f"{name}: {said}; {best.value} was taken", 1.0, "note"))
    return best


def _join_instruments(name: str, parts: Sequence[Parsed], _: list[Evidence]) -> Evidence:
    """Those of the first prompt, as often as it asks for them, then those of the others that are new."""
    joined: list[str] = []
    programs: set[int] = set()
    for part in parts:
        joined += [one for one in part.intent.instruments if parse_instrument(one) not in programs]
        programs |= set(part.intent.programs)
    rows = [part.stated[name] for part in parts]
    words = " + ".join(row.words for row in rows)
    return Evidence(name, tuple(joined), words, min(row.confidence for row in rows), "fused")


def _join_attributes(name: str, parts: Sequence[Parsed], _: list[Evidence]) -> Evidence:
    joined: dict[str, float] = {}
    for part in parts:
        joined |= part.intent.attributes
    return Evidence(name, joined, " + ".join(part.stated[name].words for part in parts), 1.0, "fused")


def _join_emotions(name: str, parts: Sequence[Parsed], conflicts: list[Evidence]) -> Evidence:
    paths = [part.intent.emotion for part in parts]
    spreads = [part.spread for part in parts]
    known = [path for path in paths if path is not None]
    moving = [path for path in known if not path.is_constant]
    positions = sorted({p for path in moving for p in path.positions}) or [0.5]
    joined = [weighted_mean([path.at(p) for path in known], spreads) for p in positions]
    for i, a in enumerate(parts):
        for j, b in enumerate(parts[:i]):
            distance = _sigmas(known[j].mean, known[i].mean, spreads[j], spreads[i])
            if distance > CONFLICT_SIGMA:
                first, second = b.stated[name].words, a.stated[name].words
                text = f"emotion: {known[j].mean} ({first!r}) against {known[i].mean} ({second!r})"
                text += "; their precision-weighted mean was taken"
                conflicts.append(Evidence("conflict", name, text, 1.0, "note"))
    path = EmotionPath(tuple(positions), tuple(emotion for emotion, _ in joined))
    rows = [part.stated[name] for part in parts]
    words = " + ".join(row.words for row in rows)
    return Evidence(name, path, words, max(row.confidence for row in rows), "fused", joined[0][1])


_JOINED: Final = {
    "emotion": _join_emotions,
    "instruments": _join_instruments,
    "attributes": _join_attributes,
}
"""Fields that are joined rather than chosen."""


def _sigmas(a: Emotion, b: Emotion, of_a: tuple[float, float], of_b: tuple[float, float]) -> float:
    """The larger of the two axes' distances, in joint standard deviations."""
    return max(
        abs(a.valence - b.valence) / math.hypot(of_a[0], of_b[0]),
        abs(a.arousal - b.arousal) / math.hypot(of_a[1], of_b[1]),
    )
