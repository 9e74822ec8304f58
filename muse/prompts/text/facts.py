"""Musical facts that a text says outright: genre, instruments, tempo, meter, key, length, form.

Conventions
-----------
A fact is found by the words that name it, never guessed from the mood. Precision comes first: words with an everyday
sense (*house*, *march*, *country*, *bass*) count only where their neighbors make them musical, and what stands in the
scope of a negation (*no drums or bass, just piano*) is reported as ``without`` instead. Tempo words stand for the
middle of the range that metronomes print beside them, in quarter notes a minute.

Contents: :func:`find_facts`; the tables :data:`METER_WORDS`, :data:`FORM_WORDS`. Instruments and genres have modules of
their own, :mod:`muse.prompts.text.instruments` and :mod:`muse.prompts.text.genres`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from muse.errors import InputError
from muse.intent import MAX_BARS, MAX_TEMPO_BPM, MIN_TEMPO_BPM, parse_time_signature
from muse.prompts.parsed import Evidence
from muse.prompts.text.genres import find_genres
from muse.prompts.text.instruments import find_instruments, find_phrases
from muse.prompts.text.language import NUMBER, UNITS, flatten, is_negated, number, whole_words
from muse.prompts.text.tables import TEMPO_WORDS
from muse.theory import parse_key

__all__ = ["FORM_WORDS", "METER_WORDS", "find_facts"]

ASSUMED_TEMPO_BPM: Final = 100.0
"""What turns seconds into bars where no tempo is said: about the median of popular music."""

_NOT_TEMPO: Final = re.compile(r"fast (?:asleep|food|lane|forward|car|friends)|hold fast|break ?fast|quick question")

METER_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "waltz": "3/4", "waltzes": "3/4", "minuet": "3/4", "mazurka": "3/4", "polonaise": "3/4", "triple meter": "3/4",
        "triple time": "3/4", "common time": "4/4", "cut time": "2/2", "alla breve": "2/2",
        "jig": "6/8",
    }
)  # fmt: skip
"""Words that fix a meter; dances only where it is part of their definition."""

FORM_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "12-bar blues": r"(?:12|twelve) bar blues", "rondo": r"rondo", "sonata": r"sonata form",
        "fugue": r"fugue|fugato",
        "variations": r"theme (?:and|with) variations|variations on", "canon": r"canon", "AABA": r"aaba",
        "ABA": r"aba|ternary form", "ABAB": r"abab", "ABAC": r"abac", "AB": r"ab form|binary form",
        "verse-chorus": r"verse (?:and )?chorus", "through-composed": r"through composed",
    }
)  # fmt: skip


FORM_LETTERS: Final[Mapping[str, str]] = MappingProxyType({"rondo": "ABACA", "verse-chorus": "ABAB"})
"""Forms with a name of their own that letters can say."""


def find_facts(text: str) -> list[Evidence]:
    """All musical facts of a text.

    Parameters
    ----------
    text
        Free English text; Italian tempo words, numbers and signs count in any language.

    Returns
    -------
    list of Evidence
        Rows with source ``stated``. For every field of the intent the first row decides: ``tempo_bpm``,
        ``time_signature``, ``key``, ``instruments`` (all of them as one tuple), ``genre``, ``bars``. Also
        ``instrument`` (one row each), ``mode``, ``form``, ``duration_sec``, ``without``, ``note``, ``conflict``.
    """
    flat = flatten(text)
    rows = _tempo(text, flat) + _meter(flat) + _key(text, flat)
    rows += _instruments_and_genre(text, flat) + _form(text, flat)
    return rows + _length(text, flat, rows)


_BPM = re.compile(
    r"(?<![\w.])(\d{2,3}(?:\.\d+)?)(?:\s*(?:to|/|\s)\s*(\d{2,3}))?\s*(?:bpm|beats (?:per|a) minute)(?!\w)|"
    r"(?<!\w)(?:bpm|tempo)(?:\s*(?:of|at|is|about|around|=|:|ca\.?))*\s*(\d{2,3}(?:\.\d+)?)(?![\w/])|"
    r"(dotted )?(quarter|crotchet|half|minim|eighth|quaver|♩|♪)(?: ?notes?)?\s*=\s*(?:ca?\.? ?)?(\d{2,3})(?!\w)"
)
_QUARTERS = {"quarter": 1.0, "crotchet": 1.0, "♩": 1.0, "half": 2.0, "minim": 2.0, "eighth": 0.5,
             "quaver": 0.5, "♪": 0.5}  # fmt: skip
_TEMPO = whole_words(map(re.escape, TEMPO_WORDS))


def _tempo(text: str, flat: str) -> list[Evidence]:
    rows: list[Evidence] = []
    for match in _BPM.finditer(flat):
        if match[1]:
            bpm = (float(match[1]) + float(match[2])) / 2 if match[2] else float(match[1])
        elif match[3]:
            bpm = float(match[3])
        else:
            bpm = float(match[6]) * _QUARTERS[match[5]] * (1.5 if match[4] else 1)
        words = text[match.start() : match.end()].strip()
        if MIN_TEMPO_BPM <= bpm <= MAX_TEMPO_BPM:
            rows.append(Evidence("tempo_bpm", bpm, words))
        else:
            legal = f"{MIN_TEMPO_BPM:g}..{MAX_TEMPO_BPM:g}"
            said = f"{words}: {bpm:g} BPM is out of range ({legal}) and was left out"
            rows.append(Evidence("note", None, said, 1.0, "note"))
    masked = _NOT_TEMPO.sub(lambda m: " " * len(m[0]), flat)
    for match in _TEMPO.finditer(masked):
        if not is_negated(flat, match.start()):
            words = text[match.start() : match.end()]
            rows.append(Evidence("tempo_bpm", float(TEMPO_WORDS[match[0]]), words, 0.8))
    rows.sort(key=lambda row: -row.confidence)
    found = [row for row in rows if row.field == "tempo_bpm"]
    if len({row.value for row in found}) > 1:
        # A number and a word that agree in kind are no conflict: "slow, 70 BPM".
        fastest, slowest = max(found, key=lambda r: r.value), min(found, key=lambda r: r.value)
        if fastest.value > 1.5 * slowest.value:
            said = f"tempo: {slowest.words!r} and {fastest.words!r}; {found[0].value:g} BPM was taken throughout"
            rows.append(Evidence("conflict", "tempo_bpm", said, 1.0, "note"))
    return rows


_SLASHED = re.compile(r"(?<![\w/.:])(\d{1,2}) ?/ ?(\d{1,2})(?![\w/]| of\b|\.\d)")
_SPELLED = re.compile(
    r"(?<!\w)(two|three|four|five|six|seven|nine|twelve) (two|four|eight)(?: (?:time|meter|metre|feel|beat))(?!\w)"
)
_METER = whole_words(METER_WORDS)


def _meter(flat: str) -> list[Evidence]:
    rows = []
    for match in _SLASHED.finditer(flat):
        if int(match[1]) < 2 or int(match[2]) not in (2, 4, 8, 16):
            continue
        try:
            numerator, denominator = parse_time_signature(f"{match[1]}/{match[2]}")
        except InputError:
            continue
        rows.append(Evidence("time_signature", f"{numerator}/{denominator}", match[0]))
    for match in _SPELLED.finditer(flat):
        rows.append(Evidence("time_signature", f"{UNITS[match[1]]}/{UNITS[match[2]]}", match[0]))
    for match in _METER.finditer(flat):
        if not is_negated(flat, match.start()):
            rows.append(Evidence("time_signature", METER_WORDS[match[0]], match[0], 0.85))
    rows.sort(key=lambda row: -row.confidence)
    sure = {row.value for row in rows if row.confidence == 1}
    if len(sure) > 1:
        said = f"time_signature: {' and '.join(sorted(sure))}; {rows[0].value} was taken throughout"
        rows.append(Evidence("conflict", "time_signature", said, 1.0, "note"))
    return rows


_SIGN = r"(?:#|b(?![a-z])|♯|♭|[ -]?(?:sharp|flat)\b)"
_KEY = re.compile(
    rf"(?<![\w'])(?P<cue>(?:in|key of|key:?|in the key of)\s+)?(?P<tonic>[A-Ga-g])(?P<sign>{_SIGN})?"
    r"[\s-]*(?P<mode>(?i:major|minor|maj|min|dur|moll|dorian|phrygian|lydian|mixolydian|aeolian|ionian)\b)?"
)
_SHORT_KEY = re.compile(r"(?:\bin|key of|key:?)\s+([A-G](?:#|b|♯|♭)?)(m)?(?![\w'#♯♭/])(?P<after>[\s,.;:!?)]*\w*)")
_CHURCH = {"dorian": "minor", "phrygian": "minor", "aeolian": "minor", "lydian": "major", "mixolydian": "major",
           "ionian": "major", "dur": "major", "moll": "minor", "maj": "major", "min": "minor"}  # fmt: skip
_MODE = re.compile(
    r"(?<!\w)(?:in (?:a )?|a )?(minor|major) (?:key|mode|tonality|harmon\w+)(?!\w)|(?<!\w)in (minor|major)(?!\w)"
)


def _key(text: str, flat: str) -> list[Evidence]:
    rows = []
    plain = text.replace("’", "'")
    for match in _KEY.finditer(plain):
        mode = (match["mode"] or "").lower()
        if not mode or is_negated(flat, match.start()):
            continue
        if match["tonic"] in "aA" and not match["sign"] and mode in ("minor", "major"):
            # "a minor key", "A major shift": the article, unless the words around make it a key.
            after = re.match(r"\s*([a-z]+)", plain[match.end() :])
            follows_noun = after is not None and after[1] not in (
                "and", "at", "with", "for", "in", "on", "but", "piano", "turning", "sonata", "slow", "fast"
            )  # fmt: skip
            if follows_noun and not (match["tonic"] == "A" and match["cue"]):
                continue
        sign = (match["sign"] or "").strip(" -")
        name = f"{match['tonic']}{sign} {_CHURCH.get(mode, mode)}"
        confidence = 1.0 if mode in ("major", "minor", "dur", "moll", "maj", "min") else 0.6
        rows.append(Evidence("key", parse_key(name)[2], match[0].removeprefix(match["cue"] or "").strip(), confidence))
    if not rows:
        for match in _SHORT_KEY.finditer(plain):
            rest = match["after"]
            # "in A dream": a bare A is a key only where the sentence pauses after it.
            pause = rest[:1] in tuple(",.;:!?)") or rest.strip() in ("", "with", "at", "and", "for")
            if match[1] != "A" or match[2] or pause:
                rows.append(Evidence("key", parse_key(match[1] + (match[2] or ""))[2], match[0].strip(" ,.;"), 0.8))
        # "in E flat": a sign as a word, major by custom.
        for match in re.finditer(r"(?:\bin|key of)\s+([A-G])[ -](sharp|flat)(?!\w)", plain):
            rows.insert(0, Evidence("key", parse_key(f"{match[1]}{match[2]}")[2], match[0], 0.8))
    if len({row.value for row in rows}) > 1:
        said = f"key: {' and '.join(dict.fromkeys(row.value for row in rows))}; {rows[0].value} was taken throughout"
        rows.append(Evidence("conflict", "key", said, 1.0, "note"))
    for match in _MODE.finditer(flat):
        if not rows and not is_negated(flat, match.start()):
            rows.append(Evidence("mode", match[1] or match[2], match[0].strip()))
            break
    return rows


def _instruments_and_genre(text: str, flat: str) -> list[Evidence]:
    phrases = find_phrases(flat)
    # "classical guitar", "rock organ": an instrument's name says nothing of the genre; a jazz trio's does.
    genres, without_genre = find_genres(text, flat, [(p.start, p.end) for p in phrases if not p.is_ensemble])
    genre = genres[0].value if genres else ""
    instruments, without = find_instruments(text, flat, phrases, genre)
    return instruments + genres + without + without_genre


_FORMS = {form: whole_words([f"(?:{pattern})"]) for form, pattern in FORM_WORDS.items()}


def _form(text: str, flat: str) -> list[Evidence]:
    rows = []
    for form, pattern in _FORMS.items():
        match = pattern.search(flat)
        if match and not is_negated(flat, match.start()):
            words = text[match.start() : match.end()]
            rows.append(Evidence("named_form", form, words))
            if letters := form if form.isupper() else FORM_LETTERS.get(form):
                rows.append(Evidence("form", letters, words))
    return rows


_BARS = re.compile(rf"(?<![\w.])({NUMBER})\s+(?:bars?|measures?)(?!\w)(?! blues)")
_SECONDS = re.compile(
    rf"(?<![\w.:])({NUMBER})\s*(seconds?|secs?|minutes?|mins?)(?!\w)"
    r"(?! (?:mark|ago|later|before|after|walk|drive|away|late)\b)"
)
_CLOCK = re.compile(r"(?<!at )(?<![\w:])(\d{1,2}):([0-5]\d)(?![\w:])(?! ?(?:am|pm|a\.m|p\.m|o'clock))")
_NOT_LENGTH = re.compile(r"(?:after|at|every|in|for|the first|the last|within|last|next) (?:the |about )?$")


def _length(text: str, flat: str, rows: list[Evidence]) -> list[Evidence]:
    found = []
    for match in _BARS.finditer(flat):
        bars, words = number(match[1]), text[match.start() : match.end()]
        if not 1 <= bars <= MAX_BARS or bars != int(bars):
            said = f"{words}: legal are 1..{MAX_BARS} whole bars; the length was left open"
            found.append(Evidence("note", None, said, 1.0, "note"))
        elif not is_negated(flat, match.start()):
            found.append(Evidence("bars", int(bars), words))
    seconds: list[Evidence] = []
    for match in _SECONDS.finditer(flat):
        if not _NOT_LENGTH.search(flat[: match.start()]):
            length = number(match[1]) * (60 if match[2].startswith("m") else 1)
            seconds.append(Evidence("duration_sec", length, text[match.start() : match.end()]))
    for match in _CLOCK.finditer(flat):
        seconds.append(Evidence("duration_sec", 60.0 * int(match[1]) + int(match[2]), match[0], 0.8))
    if seconds and not any(row.field == "bars" for row in found):
        tempo = next((row.value for row in rows if row.field == "tempo_bpm"), None)
        signature = next((row.value for row in rows if row.field == "time_signature"), "4/4")
        numerator, denominator = parse_time_signature(signature)
        bars = seconds[0].value * (tempo or ASSUMED_TEMPO_BPM) / 60 * denominator / 4 / numerator
        how = f"{seconds[0].words} at {tempo or ASSUMED_TEMPO_BPM:g} BPM" + ("" if tempo else ", which is assumed")
        count = max(1, min(MAX_BARS, round(bars)))
        found.insert(0, Evidence("bars", count, how, 0.9 if tempo else 0.5))
    return found + seconds
