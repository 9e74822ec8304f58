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

a stated direction
    Words say where the emotion shall go (*happier*), an example says where it is. Where the two belong to different
    modes, the words rule: the measured key gives way to the one on the same tonic in the other mode, and the measured
    attributes that tell modes apart (:data:`MODE_ATTRIBUTES`) are left to the emotion. See :meth:`Parsed.towards`.

Contents: :class:`Evidence`, :class:`Parsed`; :func:`weighted_mean`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from muse.emotion import Emotion, EmotionPath
from muse.errors import unknown
from muse.intent import Intent
from muse.theory import PITCH_CLASS_NAMES, parse_key

__all__ = ["INTENT_FIELDS", "Evidence", "Parsed", "weighted_mean"]

INTENT_FIELDS: Final = tuple(f.name for f in fields(Intent))
"""Names of the intent's fields: a row of evidence about one of them decides it."""
UNSURE: Final = (0.4, 0.4)
"""Spread of an emotion whose evidence has none: about half of the plane's spread of emotion words (0.55)."""
MODE_ATTRIBUTES: Final = ("Mode Clarity", "Minor Major Triad Ratio")
"""Measured attributes that a change of mode makes untrue."""
MODE_VALENCE: Final = 0.2
"""Words whose valence lies so far off neutral ask for a mode: major above, minor below."""


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

    @classmethod
    def of(cls, evidence: Iterable[Evidence]) -> Parsed:
        """The intent that evidence decides: the first row about a field gives its value.

        Parameters
        ----------
        evidence
            Rows in any order; those that decide fields are put first.

        Raises
        ------
        InputError
            A row's value is not legal for its field.
        """
        rows = sorted(evidence, key=lambda row: row.field not in INTENT_FIELDS)
        deciding = {row.field: row.value for row in reversed(rows) if row.field in INTENT_FIELDS}
        return cls(Intent(**deciding), tuple(rows))

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

    def towards(self, emotion: EmotionPath, words: str) -> Parsed:
        """A copy in which a stated emotion rules over the mode that was measured on music.

        Parameters
        ----------
        emotion
            Where the music shall go.
        words
            How that was said, for the evidence.

        Returns
        -------
        Parsed
            With the key in the other mode and without :data:`MODE_ATTRIBUTES`, and a note that says so. The prompt
            itself where its key was stated, belongs to a tune that is kept, or has the mode that the emotion asks for.
        """
        row = self.stated.get("key")
        if row is None or row.source not in ("notes", "sound") or self.intent.melody is not None:
            return self
        _, mode, name = parse_key(row.value)
        if emotion.mean.valence * (1 if mode == "minor" else -1) < MODE_VALENCE:
            return self
        key = parse_key(f"{name.removesuffix('m')} {'major' if mode == 'minor' else 'minor'}")[2]
        changed, attributes = {"key": replace(row, value=key)}, dict(self.intent.attributes)
        measured = self.stated.get("attributes")
        if measured is not None and measured.source != "user":
            attributes = {name: value for name, value in attributes.items() if name not in MODE_ATTRIBUTES}
            changed["attributes"] = replace(measured, value=attributes)
        text = f"the music is in {name}, {words!r} asks for the other mode: {key} was taken"
        rows = [changed.get(one.field, one) for one in self.evidence]
        intent = replace(self.intent, key=key, attributes=attributes)
        return Parsed(intent, (*rows, Evidence("note", "key", text, 1.0, "note")))

    def corrected(self, **changes: Any) -> Parsed:
        """A copy in which the user's values rule; an emotion also over a measured mode, see :meth:`towards`.

        Parameters
        ----------
        **changes
            Fields of :class:`~muse.intent.Intent`, for example ``emotion="calm"``.

        Raises
        ------
        InputError
            No such field, or an illegal value.
        """
        for name in changes:
            if name not in INTENT_FIELDS:
                raise unknown("field of an intent", name, INTENT_FIELDS)
        intent = replace(self.intent, **changes)
        rows = [Evidence(name, getattr(intent, name), "your correction", 1.0, "user") for name in changes]
        rest = [row for row in self.evidence if row.field not in changes]
        found = Parsed(intent, (*rows, *rest))
        if intent.emotion is not None and "emotion" in changes:
            return found.towards(intent.emotion, str(changes["emotion"]))
        return found

    def to_dict(self) -> dict[str, Any]:
        """``{"intent": ..., "evidence": [...]}`` in JSON's types."""
        return {"intent": self.intent.to_dict(), "evidence": [row.to_dict() for row in self.evidence]}

    def __str__(self) -> str:
        return "\n".join(map(str, self.evidence)) or "nothing was found"


def _tune(score: Any) -> list[dict[str, Any]]:
    """A melody as rows of onset and length in beats, pitch and its name."""
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
