"""The genre that a text names.

Contents: :func:`find_genres`; :data:`GENRE_WORDS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from muse.prompts.parsed import Evidence
from muse.prompts.text.instruments import NOT_INSTRUMENTS
from muse.prompts.text.language import is_negated, whole_words

__all__ = ["GENRE_WORDS", "find_genres"]

_MUSIC = r"(?: music| song| ballad| track| tune| beat| groove| anthem| piece| band| feel| style| vibe| singer| jazz)"

GENRE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pop": r"pop|(?:synth|brit|electro)pop|synth pop|[kj] ?pop",
        "classical": r"classical|baroque|rococo|renaissance|chamber music|opera|operatic|symphony|viennese classic",
        "folk": r"folk|folk song|celtic|irish|klezmer",
        "game": r"(?:video ?)?game (?:music|theme|soundtrack|score)|video ?game|boss (?:fight|battle)|chiptunes?|"
        r"8 bit|16 bit|j?rpg",
        "rock": r"(?<!on a )(?<!on the )(?<!under a )rock|rock ?(?:and|n|'n'|&) ?roll|punk|grunge|metalcore|thrash|"
        r"(?:heavy|death|black|doom|power|thrash|symphonic) metal|metal(?: riffs?| guitars?| drums)|metal" + _MUSIC,
        "jazz": r"jazz|bebop|ragtime|rag|dixieland|big band|(?<!the )swing(?! set)(?! by)",
        "hymn": r"hymns?|chorales?|gospel|psalms?|plainchant|gregorian|spirituals",
        "funk": r"funk|r ?& ?b|rnb|r and b|motown|neo soul|soul" + _MUSIC,
        "latin": r"latin|bossa(?: nova)?|samba|salsa|tango|rumba|mambo|cha cha|bolero|merengue|cumbia|reggaeton|"
        r"calypso|mariachi",
        "stage": r"musical theat(?:re|er)|broadway|show ?tune|soundtrack|(?:film|movie) (?:music|score|theme)|operetta",
        "newage": r"new ?age|ambient",
        "hiphop": r"hip ?hop|rap|lo ?fi|boom ?bap|trap(?: drums| hats)|trap" + _MUSIC,
        "march": r"march|marches|marching band",
        "dance": r"disco|eurodance|dance (?:music|pop|track|beat|anthem|hit)",
        "blues": r"blues|boogie ?woogie",
        "country": r"bluegrass|country (?:and western|rock|pop|guitar|waltz|fiddle)|country" + _MUSIC,
        "electronic": r"electronic|electronica|electro|techno|(?<!in a )(?<!like a )trance|edm|dubstep|synth ?wave|"
        r"vapor ?wave|idm|downtempo|drum (?:and|n|'n'|&) bass|dnb|(?:deep|tech|progressive|acid) house|house" + _MUSIC,
        "reggae": r"reggae|ska|dancehall|rocksteady",
    }
)  # fmt: skip
"""Our genre (:data:`muse.tokens.GENRES`) -> pattern of the words that say so outright, hyphens as blanks."""

_LIKE_GENRE: Final = {
    "jazzy": "jazz", "funky": "funk", "bluesy": "blues", "folky": "folk", "folksy": "folk", "poppy": "pop",
    "cinematic": "stage",
}  # fmt: skip
"""Colors rather than genres; they count where nothing clearer is said."""

_GENRES: Final = {genre: whole_words([f"(?:{pattern})"]) for genre, pattern in GENRE_WORDS.items()}
_COLORS: Final = whole_words(_LIKE_GENRE)
_MONTH = re.compile(r"(?:in|of|on|since|until|last|next|early|late|mid|this|every) $")


def find_genres(text: str, flat: str, hidden: Sequence[tuple[int, int]]) -> tuple[list[Evidence], list[Evidence]]:
    """Genres that are asked for, and those that are not wanted.

    Parameters
    ----------
    text
        What was written.
    flat
        The same, see :func:`~muse.prompts.text.language.flatten`.
    hidden
        Places whose words name something else, as start and end.

    Returns
    -------
    tuple
        Rows ``genre`` in the order of the text, the first decides, with a ``conflict`` where there are several; and
        rows ``without``.
    """
    masked = NOT_INSTRUMENTS.sub(lambda match: " " * len(match[0]), flat)
    for start, end in hidden:
        masked = masked[:start] + " " * (end - start) + masked[end:]
    hits = sorted(
        (match.start(), match.end(), genre, 0.95)
        for genre, pattern in _GENRES.items()
        for match in pattern.finditer(masked)
    )
    hits = [hit for hit in hits if hit[2] != "march" or _is_march(text, flat, hit[0], hit[1])]
    if not hits:
        hits = [(match.start(), match.end(), _LIKE_GENRE[match[0]], 0.7) for match in _COLORS.finditer(masked)]
    genres: dict[str, Evidence] = {}
    without = []
    for start, end, genre, confidence in hits:
        words = text[start:end]
        if is_negated(flat, start):
            without.append(Evidence("without", genre, words))
        elif genre not in genres:
            genres[genre] = Evidence("genre", genre, words, confidence)
    found = list(genres.values())
    if len(genres) > 1:
        said = f"genre: {', '.join(genres)} are all named; {found[0].value} was taken"
        found.append(Evidence("conflict", "genre", said, 1.0, "note"))
    return found, without


def _is_march(text: str, flat: str, start: int, end: int) -> bool:
    """The piece of music, not the month and not the verb."""
    if _MONTH.search(flat[:start]) or re.match(r" (?:\d|into|through|toward|on(?!\w)|away|past)", flat[end:]):
        return False
    sentence_start = start == 0 or text[:start].rstrip()[-1:] in (".", "!", "?", ":", "")
    return sentence_start or not text[start].isupper() or text.isupper()
