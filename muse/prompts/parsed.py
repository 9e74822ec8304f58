"""What a prompt was understood as: an intent, and the evidence for it.

Conventions
-----------
evidence
    One row per thing found, with the words it was found in and how sure it is. A row whose ``field`` is a field of
    :class:`~muse.intent.Intent` decides that field; the others explain: ``emotion_word``, ``category``, ``reader``,
    ``writer``, ``mode``, ``form``, ``duration_sec``, ``without``, ``mixed``, ``label``, ``note``, ``conflict``.
    What no row decides keeps the default of :class:`~muse.intent.Intent`.
confidence
    0..1; how likely the row is what was meant.
spread
    Standard deviation of valence and arousal, on the scale of :class:`~muse.emotion.Emotion` (-1..1).
precision weighting
    Independent readings of one point with variances ``s_i**2`` are joined as the mean with weights ``1 / s_i**2``;
    its variance is ``1 / sum(1 / s_i**2)`` (Cochran 1937, *Problems arising in the analysis of a series of similar
    experiments*).

Contents: :class:`Evidence`, :class:`Parsed`, :func:`fuse`, :func:`lasting`; :func:`weighted_mean`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from muse.emotion import Emotion, EmotionPath
from muse.errors import InputError
from muse.intent import MAX_BARS, MAX_TEMPO_BPM, MIN_TEMPO_BPM, Intent
from muse.theory import PITCH_CLASS_NAMES, parse_instrument

__all__ = ["Evidence", "Parsed", "fuse", "lasting", "weighted_mean"]

INTENT_FIELDS: Final = tuple(f.name for f in fields(Intent))
UNSURE: Final = (0.4, 0.4)
"""Spread of an emotion whose evidence has none: about half of the plane's spread of emotion words (0.55)."""
DEFAULT_TEMPO_BPM: Final = 100.0
"""Where a length is given and no tempo."""
CONFLICT_SIGMA: Final = 2.0
"""Readings further apart than so many joint standard deviations are said to disagree (5 % of agreeing pairs are)."""


@dataclass(frozen=True)
class Evidence:
    """One thing that was found in a prompt.

    Parameters
    ----------
    field
        What it is about; see the module's conventions.
    value
        What was understood: a number, a name, an emotion.
    words
        Where it was found: the prompt's own words; a whole sentence for notes.
    confidence
        0..1.
    source
        What found it: ``"stated"`` (said outright), ``"words"`` (the word table), ``"model"`` (fitted heads),
        ``"tag"``, ``"emoji"``, ``"colours"``, ``"notes"``, ``"sound"``, ``"file"``, ``"fused"``, ``"user"`` or
        ``"note"``.
    spread
        Standard deviations of valence and arousal, for emotions only.
    """

    field: str
    value: Any
    words: str
    confidence: float = 1.0
    source: str = "stated"
    spread: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The row in JSON's types."""
        value = self.value.to_dict() if isinstance(self.value, (Emotion, EmotionPath)) else self.value
        value = _tune(value) if hasattr(value, "tracks") else value
        row = {
            "field": self.field,
            "value": list(value) if isinstance(value, tuple) else value,
            "words": self.words,
            "confidence": round(self.confidence, 3),
            "source": self.source,
        }
        if self.spread is not None:
            row["spread"] = [round(sigma, 3) for sigma in self.spread]
        return row

    def __str__(self) -> str:
        if self.field in ("note", "conflict"):
            return f"{self.field}: {self.words}"
        value = ", ".join(map(str, self.value)) if isinstance(self.value, tuple) else self.value
        value = " ".join(row["name"] for row in _tune(value)) if hasattr(value, "tracks") else value
        value = f"{value:g}" if isinstance(value, float) else value
        return f"{self.field}: {value} ({self.words!r}, {self.source}, {self.confidence:.0%})"


@dataclass(frozen=True)
class Parsed:
    """A prompt as it was understood.

    Parameters
    ----------
    intent
        What to compose.
    evidence
        Why; the rows that decide a field first.
    """

    intent: Intent
    evidence: tuple[Evidence, ...] = ()

    @property
    def stated(self) -> dict[str, Evidence]:
        """Intent's field -> the row that decides it; fields that keep their default are absent."""
        return {row.field: row for row in reversed(self.evidence) if row.field in INTENT_FIELDS}

    @property
    def spread(self) -> tuple[float, float]:
        """Standard deviations of the intent's valence and arousal."""
        row = self.stated.get("emotion")
        return UNSURE if row is None or row.spread is None else row.spread

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: the texts of the ``note`` and ``conflict`` rows."""
        return tuple(row.words for row in self.evidence if row.field in ("note", "conflict"))

    def found(self, field: str) -> tuple[Any, ...]:
        """Values of all rows about a field, in order."""
        return tuple(row.value for row in self.evidence if row.field == field)

    def corrected(self, **changes: Any) -> Parsed:
        """A copy in which the user's values rule.

        Parameters
        ----------
        **changes
            Fields of :class:`~muse.intent.Intent`, for example ``emotion="calm"``.

        Raises
        ------
        InputError
            No such field, or an illegal value.
        """
        kept = {name: getattr(self.intent, name) for name in INTENT_FIELDS}
        if unknown := [name for name in changes if name not in kept]:
            raise InputError(f"an intent has no field {unknown[0]!r}: choose from {', '.join(INTENT_FIELDS)}")
        intent = Intent(**(kept | changes))
        rows = [Evidence(name, getattr(intent, name), "your correction", 1.0, "user") for name in changes]
        rest = [row for row in self.evidence if row.field not in changes]
        return Parsed(intent, (*rows, *rest))

    def to_dict(self) -> dict[str, Any]:
        """``{"intent": ..., "evidence": [...]}`` in JSON's types."""
        return {"intent": self.intent.to_dict(), "evidence": [row.to_dict() for row in self.evidence]}

    def __str__(self) -> str:
        return "\n".join(map(str, self.evidence)) or "nothing was found"


def _tune(score: Any) -> list[dict[str, Any]]:
    """A motif as rows of onset and length in beats, pitch and its name."""
    from muse.score import note_array

    return [
        {
            "onset_beat": round(float(note["onset_beat"]), 4),
            "duration_beat": round(float(note["duration_beat"]), 4),
            "pitch": int(note["pitch"]),
            "name": f"{PITCH_CLASS_NAMES[int(note['pitch']) % 12]}{int(note['pitch']) // 12 - 1}",
        }
        for note in note_array(score)
    ]


def weighted_mean(
    points: Sequence[Emotion], spreads: Sequence[tuple[float, float]]
) -> tuple[Emotion, tuple[float, float]]:
    """Join readings of one emotion by precision (see the module).

    Returns
    -------
    tuple
        The mean, and its spread of valence and arousal.
    """
    values, sigmas = [], []
    for axis, name in enumerate(("valence", "arousal")):
        weights = [1 / spread[axis] ** 2 for spread in spreads]
        total = sum(weights)
        mean = sum(w * getattr(p, name) for w, p in zip(weights, points, strict=True)) / total
        values.append(max(-1.0, min(1.0, mean)))
        sigmas.append(total**-0.5)
    return Emotion(*values), (sigmas[0], sigmas[1])


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
        raise InputError(f"{row.words} lasts {row.value:g} s, which {bars} bars cannot fill: cut it to 1 s .. 1 hour")
    how = f"{bars} bars at {tempo:.2f} BPM last {row.value:g} s"
    decided = [Evidence("bars", bars, how, 1.0, "file"), Evidence("tempo_bpm", tempo, how, 1.0, "file")]
    rest = [entry for entry in parsed.evidence if entry.field not in ("bars", "tempo_bpm")]
    first = [entry for entry in rest if entry.field in INTENT_FIELDS]
    others = [entry for entry in rest if entry.field not in INTENT_FIELDS]
    kept = {name: getattr(parsed.intent, name) for name in INTENT_FIELDS}
    return Parsed(Intent(**(kept | {"bars": bars, "tempo_bpm": tempo})), (*first, *decided, *others))


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
    chosen: dict[str, Evidence] = {}
    conflicts: list[Evidence] = []
    for name in INTENT_FIELDS:
        rows = [(part, part.stated[name]) for part in parts if name in part.stated]
        if not rows:
            continue
        if len(rows) == 1:
            chosen[name] = rows[0][1]
        elif name == "emotion":
            chosen[name] = _fuse_emotions([part for part, _ in rows], conflicts)
        elif name == "instruments":
            programs: dict[int, str] = {}
            for part, _ in rows:
                for instrument in part.intent.instruments:
                    programs.setdefault(parse_instrument(instrument), instrument)
            words = " + ".join(row.words for _, row in rows)
            chosen[name] = Evidence(name, tuple(programs.values()), words, min(r.confidence for _, r in rows), "fused")
        elif name == "attributes":
            joined: dict[str, float] = {}
            for part, _ in rows:
                joined |= part.intent.attributes
            chosen[name] = Evidence(name, joined, " + ".join(row.words for _, row in rows), 1.0, "fused")
        else:
            best = max((row for _, row in rows), key=lambda row: row.confidence)
            chosen[name] = best
            values = [getattr(part.intent, name) for part, _ in rows]
            if any(value != values[0] for value in values) and name != "bars":
                said = " against ".join(f"{row.value} ({row.words!r})" for _, row in rows)
                conflicts.append(Evidence("conflict", name, f"{name}: {said}; {best.value} was taken", 1.0, "note"))
    intent = Intent(**{name: row.value for name, row in chosen.items()})
    rest = [row for part in parts for row in part.evidence if row.field not in INTENT_FIELDS]
    return Parsed(intent, (*chosen.values(), *conflicts, *rest))


def _fuse_emotions(parts: Sequence[Parsed], conflicts: list[Evidence]) -> Evidence:
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
                first, second = b.stated["emotion"].words, a.stated["emotion"].words
                text = f"emotion: {known[j].mean} ({first!r}) against {known[i].mean} ({second!r})"
                text += "; their precision-weighted mean was taken"
                conflicts.append(Evidence("conflict", "emotion", text, 1.0, "note"))
    path = EmotionPath(tuple(positions), tuple(emotion for emotion, _ in joined))
    words = " + ".join(part.stated["emotion"].words for part in parts)
    return Evidence("emotion", path, words, max(p.stated["emotion"].confidence for p in parts), "fused", joined[0][1])


def _sigmas(a: Emotion, b: Emotion, of_a: tuple[float, float], of_b: tuple[float, float]) -> float:
    """The larger of the two axes' distances, in joint standard deviations."""
    return max(
        abs(a.valence - b.valence) / math.hypot(of_a[0], of_b[0]),
        abs(a.arousal - b.arousal) / math.hypot(of_a[1], of_b[1]),
    )
