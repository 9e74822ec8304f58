"""A text before it is understood: is it one, in which language, in plain spelling, and what stands under a negation.

Contents: :func:`check_text`, :func:`foreign_language`, :func:`flatten`, :func:`is_negated`, :func:`number`,
:func:`whole_words`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from muse.errors import InputError
from muse.prompts.text.tables import EMOJI

__all__ = [
    "ENGLISH_GRAMMAR",
    "MAX_CHARACTERS",
    "NUMBER",
    "UNITS",
    "check_text",
    "flatten",
    "foreign_language",
    "is_negated",
    "number",
    "whole_words",
]

MAX_CHARACTERS: Final = 4_000
"""Some seven hundred words; the encoder reads the first hundred."""

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
ENGLISH_GRAMMAR: Final = _WORD_SETS["English"]
"""English words that say nothing of emotion."""

_NEGATION = re.compile(
    r"\b(?:no|not|without|never|neither|nor|nothing|none|minus|isn'?t|aren'?t|wasn'?t|don'?t|doesn'?t|didn'?t|won'?t|"
    r"can'?t|cannot|shouldn'?t|free of|lack(?:s|ing)?|avoid(?:s|ing)?|instead of|rather than|hardly|skip|"
    r"anything but)\b"
    r"(?! (?:only|just|merely|least|matter|doubt|wonder)\b)"
)
_SCOPE_END = re.compile(
    r"[,.;:!?()\n>]|\b(?:but|just|only|with|yet|though|although|instead|plus|because|so|it'?s|"
    r"and (?:a|an|the|then|some)|"
    r"and now)\b"
)
SCOPE_WORDS: Final = 5
"""A negation reaches so many words at most."""


def flatten(text: str) -> str:
    """Lower case, dashes and underscores as blanks, typographic apostrophes plain; every character keeps its place."""
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lowered.translate(str.maketrans("-_–—‑’‘\t\r", "     ''  "))


def is_negated(flat: str, start: int) -> bool:
    """Whether the word at `start` of a flattened text lies in the scope of a negation before it."""
    cues = list(_NEGATION.finditer(flat, max(0, start - 80), start))
    if not cues:
        return False
    between = flat[cues[-1].end() : start]
    return _SCOPE_END.search(between) is None and len(between.split()) <= SCOPE_WORDS


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
    if not any(c.isalnum() or c in EMOJI for c in text):
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


def whole_words(patterns: Iterable[str]) -> re.Pattern[str]:
    """Any of the phrases, the longest first, as whole words."""
    return re.compile(r"(?<!\w)(?:" + "|".join(sorted(patterns, key=len, reverse=True)) + r")(?!\w)")


UNITS: Final = {w: i for i, w in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen".split())}  # fmt: skip
_TENS = {w: 10 * i for i, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
NUMBER: Final = (
    r"(?:\d+(?:\.\d+)?|(?:" + "|".join(_TENS) + r")(?: (?:" + "|".join(list(UNITS)[1:10]) + r"))?|"
    + "|".join(sorted(list(UNITS)[1:], key=len, reverse=True)) + r")"
)  # fmt: skip
"""Pattern of a number in digits or words up to ninety-nine."""


def number(word: str) -> float:
    """A number in digits or words, as :data:`NUMBER` finds it."""
    if word[0].isdigit():
        return float(word)
    return float(sum(UNITS.get(part, 0) + _TENS.get(part, 0) for part in word.split()))
