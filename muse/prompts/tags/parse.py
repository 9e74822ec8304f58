"""Tags into an intent: ``sad:0.7, epic, piano, 3/4, 😢``.

Conventions
-----------
tag
    Between commas, semicolons or line ends; ``#`` and quotes around it are dropped, ``mood/theme---epic`` and
    ``genre---jazz`` read as in the files of MTG-Jamendo; emoji may stand side by side.
weight
    After a colon, above 0, at most 1 (``sad:0.7``); 1 where none is given. Weights work on emotions: the spread of a
    tag is its own divided by the root of the weight, as if so much of a rating were there.
order of reading
    Emotion word (table of :mod:`muse.emotion`, XMIDI's eleven among them), mood/theme tag of Jamendo
    (:data:`MOOD_TAGS`), musical fact (:mod:`muse.prompts.text.facts`; XMIDI's genres among them), then the fitted words
    head for words that nothing knows.

Contents: :func:`parse_tags`; :data:`MOOD_TAGS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from muse.emotion import Emotion, EmotionPath, emotion_words
from muse.errors import InputError, nearest
from muse.prompts.parsed import Evidence, Parsed, weighted_mean
from muse.prompts.text.encoder import load_reader
from muse.prompts.text.facts import find_facts
from muse.prompts.text.language import check_text, flatten
from muse.prompts.text.tables import EMOJI
from muse.prompts.text.words import MIXED_VALENCE, table_word

__all__ = ["MOOD_TAGS", "parse_tags"]

MOOD_TAGS: Final = {
    "advertising": (0.45, 0.35), "background": (0.25, -0.35), "ballad": (0.10, -0.40), "children": (0.55, 0.30),
    "christmas": (0.60, 0.10), "commercial": (0.40, 0.35), "corporate": (0.40, 0.25), "deep": (0.00, -0.35),
    "documentary": (0.10, -0.10), "drama": (-0.30, 0.35), "dream": (0.45, -0.55), "film": (0.10, 0.05),
    "game": (0.30, 0.45), "holiday": (0.60, 0.35), "melodic": (0.35, -0.10), "movie": (0.10, 0.05),
    "nature": (0.50, -0.45), "retro": (0.30, 0.25), "soundscape": (0.10, -0.55), "space": (0.10, -0.45),
    "sport": (0.40, 0.75), "summer": (0.65, 0.40), "trailer": (-0.05, 0.75), "travel": (0.50, 0.30),
}  # fmt: skip
"""Mood/theme tags of MTG-Jamendo that are no emotion words: where such music stands, placed by us among the table's."""

TAG_SPREAD: Final = (0.2, 0.25)
GUESS_SPREAD: Final = (0.35, 0.35)
"""Of words that only the fitted head knows."""
MAX_TAGS: Final = 64

_WEIGHT = re.compile(r"^(.*?)\s*[:=]\s*([+-]?[\d.]+(?:e-?\d+)?)\s*$")
_PREFIX = re.compile(r"^(?:mood(?:/theme)?|theme|genre|instrument|emotion)\s*(?:---|::|=|:)\s*")


def parse_tags(tags: str | Sequence[str] | Mapping[str, float], *, checkpoint: str | None = "prompts-text") -> Parsed:
    """Read tags.

    Parameters
    ----------
    tags
        One string, a list of tags, or a mapping of tag to weight.
    checkpoint
        Heads for words that no table knows; None leaves such words out, with a note.

    Raises
    ------
    InputError
        No tags, too many, binary, or a weight outside 0..1; the message names the tag.
    """
    rows: list[Evidence] = []
    facts: list[Evidence] = []
    points: list[tuple[Emotion, tuple[float, float]]] = []
    for tag, weight in _split(tags):
        found = _emotion_of(tag, checkpoint)
        if found is not None:
            emotion, spread, row = found
            wide = (spread[0] * weight**-0.5, spread[1] * weight**-0.5)
            points.append((emotion, wide))
            rows.append(Evidence(row.field, row.value, tag, row.confidence * weight, row.source, wide))
        elif said := find_facts(tag):
            facts += said
        else:
            rows.append(_unknown(tag))
    if points:
        emotion, spread = weighted_mean([p for p, _ in points], [s for _, s in points])
        path = EmotionPath.parse(emotion)
        words = ", ".join(row.words for row in rows if row.field == "emotion_word")
        rows.insert(0, Evidence("emotion", path, words, max(r.confidence for r in rows), "tag", spread))
        valences = [point.valence for point, _ in points]
        if max(valences) >= MIXED_VALENCE and min(valences) <= -MIXED_VALENCE:
            rows.append(Evidence("mixed", tuple(words.split(", ")), words, 0.8, "tag"))
    return Parsed.of([*rows, *_merge(facts)])


def _merge(facts: Sequence[Evidence]) -> list[Evidence]:
    """Instruments of all tags as one row; of other fields the first row decides, and a conflict is said."""
    sets = [row for row in facts if row.field == "instruments"]
    merged = [row for row in facts if row.field != "instruments"]
    if sets:
        names: list[str] = []
        for row in sets:  # a name counts twice within one tag only
            earlier = set(names)
            names += [name for name in row.value if name not in earlier]
        merged.insert(0, Evidence("instruments", tuple(names), ", ".join(row.words for row in sets)))
    for field in ("genre", "tempo_bpm", "key", "time_signature", "bars"):
        values = list(dict.fromkeys(row.value for row in facts if row.field == field))
        if len(values) > 1:
            said = f"{field}: {' and '.join(map(str, values))} are all named; {values[0]} was taken"
            merged.append(Evidence("conflict", field, said, 1.0, "note"))
    return merged


def _split(tags: object) -> list[tuple[str, float]]:
    pairs: list[tuple[str, object]] = []
    if isinstance(tags, str):
        pairs = [_pair(part) for part in re.split(r"[,;\n]", check_text(tags, "tags")) if part.strip()]
    elif isinstance(tags, Mapping):
        pairs = [(check_text(tag, "a tag"), weight) for tag, weight in tags.items()]
    elif isinstance(tags, Sequence) and not isinstance(tags, (bytes, bytearray)):
        pairs = [_pair(check_text(tag, "a tag")) for tag in tags]
    else:
        kind = type(tags).__name__
        raise InputError(f"tags must be a string such as 'sad:0.7, epic', a list or a mapping, not {kind}")
    if not pairs:
        raise InputError("there are no tags: give at least one, for example 'sad:0.7, epic, piano'")
    if len(pairs) > MAX_TAGS:
        raise InputError(f"{len(pairs)} tags are too many, legal are {MAX_TAGS}")
    split: list[tuple[str, float]] = []
    for tag, given in pairs:
        weight = _weight(tag, given)
        signs = [c for c in tag if c in EMOJI]
        rest = "".join(c for c in tag if c not in EMOJI and c != "\ufe0f").strip().strip("#\"'“”").strip()
        split += [(sign, weight) for sign in signs]
        if rest:
            split.append((_PREFIX.sub("", rest), weight))
    if not split:
        raise InputError("there are no tags: give at least one, for example 'sad:0.7, epic, piano'")
    return split


def _pair(part: str) -> tuple[str, object]:
    part = part.strip()
    match = _WEIGHT.match(part)
    # "bpm: 90" and "tempo=90" are facts, no weights.
    if match and not re.search(r"(?:bpm|tempo|\d|quarter|note|key)\s*$", match[1].lower()):
        return match[1], match[2]
    return part, 1.0


def _weight(tag: str, given: object) -> float:
    try:
        weight = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(f"weight {given!r} of tag {tag!r} is no number, write for example sad:0.7") from None
    if not 0 < weight <= 1:
        slip = f"; did you mean {weight / 100:g}?" if 1 < weight <= 100 else ""
        raise InputError(f"weight {weight:g} of tag {tag!r} is out of range, legal is above 0 up to 1{slip}")
    return weight


def _emotion_of(tag: str, checkpoint: str | None) -> tuple[Emotion, tuple[float, float], Evidence] | None:
    """Place, spread and row of a tag, None where it is no emotion."""
    known = emotion_words()
    if tag in EMOJI:
        return known[EMOJI[tag]].emotion, (0.3, 0.3), Evidence("emotion_word", EMOJI[tag], tag, 0.7, "emoji")
    flat = flatten(tag).strip()
    denial = re.match(r"(?:not|un|no) (.+)", flat)
    plain = denial[1] if denial else flat
    word = plain if plain in known else table_word(plain)
    if word is not None:
        emotion = known[word].emotion
        if denial:
            turned = Emotion(-0.5 * emotion.valence, -0.2 * emotion.arousal)
            return turned, (0.4, 0.5), Evidence("emotion_word", f"not {word}", tag, 0.6, "tag")
        return emotion, TAG_SPREAD, Evidence("emotion_word", word, tag, 0.95, "tag")
    if flat in MOOD_TAGS:
        return Emotion(*MOOD_TAGS[flat]), (0.3, 0.3), Evidence("emotion_word", flat, tag, 0.8, "tag")
    if checkpoint is None or denial or find_facts(tag) or not re.search(r"[^\W\d_]{2}", flat):
        return None
    reader = load_reader(checkpoint)
    if reader.has_encoder:
        emotion = reader.read_words([flat])[0]
    elif (place := reader.place(flat)) is not None:
        emotion = place
    else:
        return None
    return emotion, GUESS_SPREAD, Evidence("emotion_word", flat, tag, 0.5, "model")


def _unknown(tag: str) -> Evidence:
    near = nearest(flatten(tag), [*emotion_words(), *MOOD_TAGS], n_near=2)
    guess = f"; did you mean {' or '.join(near)}?" if near else ""
    return Evidence("note", tag, f"tag {tag!r} is not known and was left out{guess}", 1.0, "note")
