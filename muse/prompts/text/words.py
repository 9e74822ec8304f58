"""Emotion words in a text: where they stand, negated or strengthened, and the arc that they make.

Conventions
-----------
places
    The word table of :mod:`muse.emotion`, inflected forms included, plus :data:`SYNONYMS`, each by a word of that
    table. ``lookup`` may add places for further words (the fitted lexicon of :mod:`muse.prompts.text.encoder`).
negation
    *not happy* is not *sad*: valence turns round at half strength, arousal keeps a fifth of its opposite, and the
    spread doubles, since a denial says where the emotion is not.
intensity
    Moves a word along its ray from neutral: *very* out by 1.3, *slightly* in by 0.5.
spread
    Of one word 0.2 in valence and 0.25 in arousal: the standard deviation between people's ratings of a word is about
    twice that in the Glasgow Norms, but a prompt's author means it as the table does. Words that disagree add theirs.

Contents: :class:`Mention`, :func:`find_mentions`, :func:`join_mentions`, :func:`find_arc`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

from muse.emotion import Emotion, emotion_words
from muse.prompts.text.language import flatten, is_negated
from muse.prompts.text.tables import SYNONYMS

__all__ = ["MIXED_VALENCE", "Mention", "find_arc", "find_mentions", "join_mentions"]

Lookup: TypeAlias = Callable[[str], Emotion | None]

_NOT_MOODS: Final = frozenset("still light neutral q1 q2 q3 q4 content liking fast slow party war battle".split())
"""Words of the table that prose mostly uses in another sense, or that are facts rather than moods."""

_IDIOMS = re.compile(
    r"(?:would|i|i'd|we|we'd|you'd) (?:really )?(?:love|like|hope)(?= (?:to|a|an|some|this|that|it|you))|"
    r"singing bowls?|marching band|"
    r"no wonder|power (?:metal|chords?)|soft rock|heavy metal|dark (?:techno|bells)|cool jazz|hot jazz|"
    r"how (?:funny|sweet)|funny how|action (?:movie|film)|light (?:rail|year)"
)
_SOUND = re.compile(r"(?:soft|warm|bright|light|heavy|cold) $")

_STRONG = re.compile(
    r"(?:very|extremely|deeply|so|really|utterly|intensely|incredibly|totally|completely|absolutely|pure|profoundly|"
    r"overwhelmingly|immensely|most|too)\s+$"
)
_WEAK = re.compile(
    r"(?:slightly|somewhat|a (?:bit|little|touch|hint|trace|tad)(?: of)?|mildly|faintly|subtly|rather|kind of|sort of|"
    r"fairly|vaguely|barely|less|gently|(?:hint|touch|trace)s? of)\s+$"
)
STRONG, WEAK = 1.3, 0.5
WORD_SPREAD: Final = (0.2, 0.25)


@dataclass(frozen=True)
class Mention:
    """An emotion word in a text, with what its neighbors make of it."""

    start: int
    end: int
    word: str
    """The word of the table."""
    words: str
    """The text's own words, with negation or degree."""
    emotion: Emotion
    is_negated: bool
    degree: float
    """1, or what intensity multiplied."""

    @property
    def spread(self) -> tuple[float, float]:
        """Of valence and arousal."""
        factor = 2.0 if self.is_negated else 1.0
        return WORD_SPREAD[0] * factor, WORD_SPREAD[1] * factor


@cache
def _pattern() -> re.Pattern[str]:
    phrases = [p for p in (*emotion_words(), *SYNONYMS) if " " in p.replace("-", " ")]
    spoken = sorted((re.escape(flatten(p)) for p in phrases), key=len, reverse=True)
    return re.compile(r"(?<![\w'])(?:" + "|".join(spoken) + r"|[^\W\d_]+(?:'[a-z]+)?)(?![\w])")


@cache
def _table() -> dict[str, str]:
    """Every form in flattened spelling -> word of the table."""
    known = emotion_words()
    table = {flatten(word): word for word in known if word not in _NOT_MOODS}
    return table | {flatten(form): word for form, word in SYNONYMS.items()}


@cache
def table_word(word: str) -> str | None:
    """The word of the emotion table that a flattened word is a form of, or None.

    >>> table_word("happily"), table_word("sadder"), table_word("table")
    ('happy', 'sad', None)
    """
    table = _table()
    if word in table:
        return table[word]
    for suffix, endings in (
        ("iness", ("y",)), ("ness", ("",)), ("ily", ("y",)), ("ly", ("", "le")), ("iest", ("y",)), ("ier", ("y",)),
        ("est", ("", "e")), ("er", ("", "e")), ("ing", ("", "e")), ("ed", ("", "e")), ("ies", ("y",)), ("s", ("",)),
        ("ful", ("",)),
    ):  # fmt: skip
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            stem = word.removesuffix(suffix)
            doubled = stem[:-1] if suffix in ("er", "est", "ing", "ed") and stem[-1] == stem[-2] else None
            for form in (*(stem + ending for ending in endings), doubled):
                if form in table:
                    return table[form]
    return None


def find_mentions(text: str, lookup: Lookup | None = None) -> list[Mention]:
    """Emotion words of a text, in order.

    Parameters
    ----------
    text
        English.
    lookup
        Places of further words; asked for words that no table knows, in lower case.
    """
    flat = flatten(text)
    searched = _IDIOMS.sub(lambda m: " " * len(m[0]), flat)
    known = emotion_words()
    found = []
    for match in _pattern().finditer(searched):
        word = table_word(match[0])
        emotion = known[word].emotion if word else lookup(match[0]) if lookup else None
        if emotion is None:
            continue
        before = flat[: match.start()]
        strong, weak = _STRONG.search(before), _WEAK.search(before)
        degree = STRONG if strong else WEAK if weak else 1.0
        begin = strong.start() if strong else weak.start() if weak else match.start()
        negated = is_negated(flat, match.start())
        valence, arousal = emotion.valence * degree, emotion.arousal * degree
        if negated:
            # "not too happy" denies the excess; either way the point turns round once.
            valence, arousal = -0.5 * emotion.valence, -0.2 * emotion.arousal
        words = ("not " if negated else "") + text[begin : match.end()]
        place = Emotion(max(-1.0, min(1.0, valence)), max(-1.0, min(1.0, arousal)))
        found.append(Mention(match.start(), match.end(), word or match[0], words, place, negated, degree))
    return found


def join_mentions(mentions: Sequence[Mention]) -> tuple[Emotion, tuple[float, float]]:
    """One emotion of several words: their precision-weighted mean; the spread has the words' disagreement in it."""
    weights = [1 / mention.spread[0] ** 2 for mention in mentions]
    total = sum(weights)
    mean, spread = [], []
    for axis, name in enumerate(("valence", "arousal")):
        values = [getattr(m.emotion, name) for m in mentions]
        center = sum(w * v for w, v in zip(weights, values, strict=True)) / total
        between = sum(w * (v - center) ** 2 for w, v in zip(weights, values, strict=True)) / total
        own = sum(w * m.spread[axis] ** 2 for w, m in zip(weights, mentions, strict=True)) / total
        mean.append(center)
        spread.append(math.sqrt((own + between) / len(mentions)))
    return Emotion(mean[0], mean[1]), (spread[0], spread[1])


_CUE = re.compile(
    r"(?<!\w)(?:start(?:s|ing)?|begin(?:s|ning)?|open(?:s|ing)?|at first|at the (?:start|beginning|end|close)|"
    r"in the (?:beginning|end)|initially|at the outset|^first|then|turn(?:s|ing)?|becom(?:es|ing|e)|grow(?:s|ing)?|"
    r"build(?:s|ing)?|finds|shift(?:s|ing)?|gives? way|giving way|evolv(?:es|ing|e)|before|until|afterwards?|later|"
    r"end(?:s|ing)?|finish(?:es|ing)?|conclud(?:es|ing|e)|clos(?:es|ing)|finally|by the end|eventually|"
    r"resolv(?:es|ing|e)|culminat(?:es|ing|e)|fad(?:es|ing) (?:in)?to|rising to|dissolv(?:es|ing) into)(?!\w)"
)
_CLAUSE = re.compile(
    r"[,;:.!?\n]|(?<!\w)and (?=(?:then|end|finish|turn|becom|grow|finally|eventually|resolv|conclud)\w*)|"
    r"(?<!\w)(?=(?:before|until|then|gives? way|giving way)(?!\w))"
)
_FROM_TO = re.compile(r"(?<!\w)from ((?:[\w'&]+ ){0,5}?[\w']+) ((?:in)?to [^,;:.!?>\n]+)")
_ARROW = re.compile(r"->|=>|>|→")
MIXED_VALENCE: Final = 0.3
"""Words at least so far on either side of neutral are feelings that mix."""
MIN_MOVE: Final = 0.35
"""Stages nearer to each other than this are one: half the distance between neighbors' quadrant centers and an axis."""


def find_arc(text: str, lookup: Lookup | None = None) -> list[tuple[Emotion, tuple[float, float], str]]:
    """The stages of an arc that a text tells, at least two, or an empty list.

    Read are arrows (*calm > tense*), *from … to …*, and clauses with words of beginning, change and end (*starts
    calm, ends in triumph*). A stage without a known word is left out.

    Returns
    -------
    list of tuple
        Emotion, its spread and the words, per stage.
    """
    flat = flatten(text.replace("->", " >"))
    if _ARROW.search(flat):
        return _stages(_ARROW.split(text), lookup)
    for match in _FROM_TO.finditer(flat):
        target = match[2].partition(" with ")[0]
        stages = _stages([match[1], *re.split(r" (?:and then|then|and (?:finally )?to|to) ", target)], lookup)
        if len(stages) > 1:
            return stages
    parts: list[str] = []
    n_cues = 0
    is_pending = False
    for clause in _CLAUSE.split(flat):
        clause = clause.strip()
        cues = list(_CUE.finditer(clause))
        mentions = find_mentions(clause, lookup)
        if not mentions:
            # "by the end, at peace": the cue stands alone and belongs to what follows.
            is_pending = bool(cues) and len(clause.split()) <= len(cues[0][0].split()) + 1
            continue
        after = clause[cues[0].end() :] if cues else clause
        part = after if find_mentions(after, lookup) else clause
        if cues or is_pending or not parts:
            parts.append(part)
            n_cues += bool(cues) or is_pending
        else:
            parts[-1] += ", " + part
        is_pending = False
    return _stages(parts, lookup) if n_cues and len(parts) > 1 else []


def _stages(parts: Sequence[str], lookup: Lookup | None) -> list[tuple[Emotion, tuple[float, float], str]]:
    stages: list[tuple[Emotion, tuple[float, float], str]] = []
    for part in parts:
        mentions = find_mentions(part, lookup)
        if mentions:
            emotion, spread = join_mentions(mentions)
            if not stages or stages[-1][0] != emotion:
                stages.append((emotion, spread, " ".join(m.words for m in mentions)))
    moves = any(
        math.hypot(a[0].valence - b[0].valence, a[0].arousal - b[0].arousal) >= MIN_MOVE
        for a, b in itertools.pairwise(stages)
    )
    return stages if moves else []
