"""Musical facts that a text says outright: genre, instruments, tempo, meter, key, length, form.

Conventions
-----------
A fact is found by the words that name it, never guessed from the mood. Precision comes first: words with an everyday
sense (*house*, *march*, *country*, *bass*) count only where their neighbors make them musical, and what stands in the
scope of a negation (*no drums or bass, just piano*) is reported as ``without`` instead. Tempo words stand for the
middle of the range that metronomes print beside them, in quarter notes a minute.

Contents: :func:`find_facts`; :func:`is_negated`, :func:`flatten`; the tables :data:`GENRE_WORDS`,
:data:`MORE_INSTRUMENTS`, :data:`TEMPO_WORDS`, :data:`METER_WORDS`, :data:`FORM_WORDS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from muse.errors import InputError
from muse.intent import (
    MAX_BARS,
    MAX_TEMPO_BPM,
    MIN_TEMPO_BPM,
    parse_time_signature,
)
from muse.prompts.parsed import Evidence
from muse.theory import instrument_name, instrument_words, parse_instrument, parse_key

__all__ = [
    "FORM_WORDS",
    "GENRE_WORDS",
    "METER_WORDS",
    "MORE_INSTRUMENTS",
    "TEMPO_WORDS",
    "find_facts",
    "flatten",
    "is_negated",
]

ASSUMED_TEMPO_BPM: Final = 100.0
"""What turns seconds into bars where no tempo is said: about the median of popular music."""

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

_STRING_PLAYERS = (40, 41, 42)
MORE_INSTRUMENTS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "string quartet": _STRING_PLAYERS, "string trio": _STRING_PLAYERS, "wind quintet": (73, 68, 71, 60, 70),
        "woodwind quintet": (73, 68, 71, 60, 70), "horn section": (61,), "brass band": (61,), "brass quintet": (61,),
        "orchestral": (48,), "orchestral strings": (48,), "celli": (42,), "tympani": (47,),
        "bass clarinet": (71,), "bass flute": (73,), "alto flute": (73,), "bass trombone": (57,), "cornet": (56,),
        "flugelhorn": (56,), "euphonium": (58,), "sousaphone": (58,), "spanish guitar": (24,), "flamenco guitar": (24,),
        "nylon string guitar": (24,), "ukulele": (24,), "lute": (24,), "oud": (24,), "mandolin": (25,),
        "steel string guitar": (25,), "12 string guitar": (25,), "slide guitar": (25,), "pedal steel": (25,),
        "concertina": (21,), "melodica": (22,), "mouth organ": (22,), "calliope": (82,), "erhu": (110,),
        "handpan": (114,), "hang drum": (114,), "square wave": (80,), "whistling": (78,),
        "synthesiser": (80,), "female voice": (53,), "male voice": (53,), "human voice": (53,),
        "vocal": (52,), "clavichord": (6,), "wurlitzer": (4,), "prepared piano": (0,), "felt piano": (0,),
        "string section": (48,), "violas da gamba": (42,), "viola da gamba": (42,), "balafon": (12,),
        **dict.fromkeys(
            ("bass drum", "kick drum", "double kick", "snare", "snare drum", "hi hat", "hihat", "cymbal",
             "drum machine", "bongo", "conga", "djembe", "cajon", "tabla", "tambourine", "shaker", "maracas",
             "castanets", "surdo",
             "hand drum", "frame drum", "bodhran", "brushes", "808", "kick"), (128,)),
    }
)  # fmt: skip
"""Words beside those of :mod:`muse.intent`; without a General MIDI program they get the nearest sound."""

_EVERYDAY: Final = frozenset(
    "voice lead ensemble reed pipe ethnic percussive string keys helicopter applause gunshot seashore".split()
) | {"telephone ring", "bird tweet", "sound effects", "synth effects", "breath noise"}
"""Names of instruments that prose uses in another sense."""

_NOT_INSTRUMENTS: Final = re.compile(
    r"no strings attached|heart ?strings|pull\w* (?:some |the )?strings|(?:guitar|shoe) ?strings|"
    r"(?:car|fog|train) ?horns?|"
    r"train whistle|whistle of|tape recorder|singer songwriter|beats? per|drum rolls of|key ?board shortcuts|"
    r"organ (?:donor|transplant)|brass (?:tacks|handle|plate)|rubber band|note ?pad|launch pad|"
    r"alarm bells?|bass fishing"
)

TEMPO_WORDS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "extremely slow": 44, "very slow": 54, "really slow": 54, "slow": 66, "slower": 66,
        "moderate tempo": 104, "moderate speed": 104, "medium tempo": 104, "mid tempo": 104, "midtempo": 104,
        "walking pace": 84, "walking tempo": 84, "moderately slow": 80, "moderately fast": 120,
        "brisk": 132, "briskly": 132, "quick": 140, "up tempo": 140, "uptempo": 140, "fast": 148, "faster": 148,
        "rapid": 152, "very fast": 176, "really fast": 176, "extremely fast": 196, "breakneck": 196,
        "lightning fast": 196, "not too fast": 108, "not too slow": 88, "not so fast": 108,
        "larghissimo": 24, "largo": 50, "lento": 54, "larghetto": 63, "adagio": 66, "adagietto": 74, "andante": 84,
        "andantino": 94, "andante con moto": 92, "moderato": 108, "allegretto": 114, "allegro": 132,
        "allegro moderato": 116, "allegro ma non troppo": 118, "allegro non troppo": 118, "allegro con brio": 144,
        "molto allegro": 144, "allegro vivace": 144, "vivace": 160, "presto": 184, "prestissimo": 204,
    }
)  # fmt: skip
"""Tempo words -> BPM: the Italian ones as on common metronomes, the English ones placed among them by us."""

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

_UNITS = {w: i for i, w in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen".split())}  # fmt: skip
_TENS = {w: 10 * i for i, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_NUMBER = (
    r"(?:\d+(?:\.\d+)?|(?:" + "|".join(_TENS) + r")(?: (?:" + "|".join(list(_UNITS)[1:10]) + r"))?|"
    + "|".join(sorted(list(_UNITS)[1:], key=len, reverse=True)) + r")"
)  # fmt: skip

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


def _number(word: str) -> float:
    if word[0].isdigit():
        return float(word)
    return float(sum(_UNITS.get(part, 0) + _TENS.get(part, 0) for part in word.split()))


def _words(patterns: Iterable[str]) -> re.Pattern[str]:
    """Any of the phrases, the longest first, as whole words."""
    return re.compile(r"(?<!\w)(?:" + "|".join(sorted(patterns, key=len, reverse=True)) + r")(?!\w)")


_BPM = re.compile(
    r"(?<![\w.])(\d{2,3}(?:\.\d+)?)(?:\s*(?:to|/|\s)\s*(\d{2,3}))?\s*(?:bpm|beats (?:per|a) minute)(?!\w)|"
    r"(?<!\w)(?:bpm|tempo)(?:\s*(?:of|at|is|about|around|=|:|ca\.?))*\s*(\d{2,3}(?:\.\d+)?)(?![\w/])|"
    r"(dotted )?(quarter|crotchet|half|minim|eighth|quaver|♩|♪)(?: ?notes?)?\s*=\s*(?:ca?\.? ?)?(\d{2,3})(?!\w)"
)
_QUARTERS = {"quarter": 1.0, "crotchet": 1.0, "♩": 1.0, "half": 2.0, "minim": 2.0, "eighth": 0.5,
             "quaver": 0.5, "♪": 0.5}  # fmt: skip
_TEMPO = _words(map(re.escape, TEMPO_WORDS))


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
_METER = _words(METER_WORDS)


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
        rows.append(Evidence("time_signature", f"{_UNITS[match[1]]}/{_UNITS[match[2]]}", match[0]))
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


@cache
def _instrument_words() -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {}
    for name, program in instrument_words().items():
        if name not in _EVERYDAY and not name.startswith("fx "):
            names[name] = (program,)
    return names | dict(MORE_INSTRUMENTS)


@cache
def _instrument_pattern() -> re.Pattern[str]:
    return _words(re.escape(name).replace(r"\ ", r"\s+") + "(?:s|es)?" for name in _instrument_words())


_GENRES = {genre: _words([f"(?:{pattern})"]) for genre, pattern in GENRE_WORDS.items()}
_MASKING_GENRES = _words([r"drum (?:and|n|'n'|&) bass", r"synth ?(?:pop|wave)", r"(?:12|twelve) bar blues"])
_MONTH = re.compile(r"(?:in|of|on|since|until|last|next|early|late|mid|this|every) $")


def _instruments_and_genre(text: str, flat: str) -> list[Evidence]:
    def blank(match: re.Match[str]) -> str:
        return " " * len(match[0])

    found: list[Evidence] = []
    without: list[Evidence] = []
    names = _instrument_words()
    masked = _NOT_INSTRUMENTS.sub(blank, flat)
    programs: dict[int, tuple[str, str]] = {}
    spans = []
    for match in _instrument_pattern().finditer(_MASKING_GENRES.sub(blank, masked)):
        phrase = " ".join(match[0].split())
        form = next(f for f in (phrase, phrase.removesuffix("s"), phrase.removesuffix("es")) if f in names)
        words = text[match.start() : match.end()]
        spans.append(match.span())
        if is_negated(flat, match.start()):
            without.append(Evidence("without", instrument_name(names[form][0]), words))
            continue
        for program in names[form]:
            try:
                said = form if len(names[form]) == 1 and parse_instrument(form) == program else instrument_name(program)
            except InputError:
                said = instrument_name(program)
            programs.setdefault(program, (said, words))
    if programs:
        words = ", ".join(dict.fromkeys(words for _, words in programs.values()))
        found.append(Evidence("instruments", tuple(said for said, _ in programs.values()), words))
        found += [Evidence("instrument", instrument_name(p), words) for p, (_, words) in programs.items()]

    for start, end in spans:  # "classical guitar", "rock organ": the instrument's name says nothing of the genre
        masked = masked[:start] + " " * (end - start) + masked[end:]
    # "drum and bass", whose words were taken for no instrument, is still there; hits come in the order of the text.
    hits = sorted(
        (match.start(), match.end(), genre, 0.95)
        for genre, pattern in _GENRES.items()
        for match in pattern.finditer(masked)
    )
    hits = [hit for hit in hits if hit[2] != "march" or _is_march(text, flat, hit[0], hit[1])]
    if not hits:
        hits = [
            (match.start(), match.end(), _LIKE_GENRE[match[0]], 0.7) for match in _words(_LIKE_GENRE).finditer(masked)
        ]
    genres: dict[str, Evidence] = {}
    for start, end, genre, confidence in hits:
        words = text[start:end]
        if is_negated(flat, start):
            without.append(Evidence("without", genre, words))
        elif genre not in genres:
            genres[genre] = Evidence("genre", genre, words, confidence)
    found += genres.values()
    if len(genres) > 1:
        first = next(iter(genres))
        said = f"genre: {', '.join(genres)} are all named; {first} was taken"
        found.append(Evidence("conflict", "genre", said, 1.0, "note"))
    return found + without


def _is_march(text: str, flat: str, start: int, end: int) -> bool:
    """The piece of music, not the month and not the verb."""
    if _MONTH.search(flat[:start]) or re.match(r" (?:\d|into|through|toward|on(?!\w)|away|past)", flat[end:]):
        return False
    sentence_start = start == 0 or text[:start].rstrip()[-1:] in (".", "!", "?", ":", "")
    return sentence_start or not text[start].isupper() or text.isupper()


_FORMS = {form: _words([f"(?:{pattern})"]) for form, pattern in FORM_WORDS.items()}


def _form(text: str, flat: str) -> list[Evidence]:
    rows = []
    for form, pattern in _FORMS.items():
        match = pattern.search(flat)
        if match and not is_negated(flat, match.start()):
            rows.append(Evidence("form", form, text[match.start() : match.end()]))
    return rows


_BARS = re.compile(rf"(?<![\w.])({_NUMBER})\s+(?:bars?|measures?)(?!\w)(?! blues)")
_SECONDS = re.compile(
    rf"(?<![\w.:])({_NUMBER})\s*(seconds?|secs?|minutes?|mins?)(?!\w)"
    r"(?! (?:mark|ago|later|before|after|walk|drive|away|late)\b)"
)
_CLOCK = re.compile(r"(?<!at )(?<![\w:])(\d{1,2}):([0-5]\d)(?![\w:])(?! ?(?:am|pm|a\.m|p\.m|o'clock))")
_NOT_LENGTH = re.compile(r"(?:after|at|every|in|for|the first|the last|within|last|next) (?:the |about )?$")


def _length(text: str, flat: str, rows: list[Evidence]) -> list[Evidence]:
    found = []
    for match in _BARS.finditer(flat):
        bars, words = _number(match[1]), text[match.start() : match.end()]
        if not 1 <= bars <= MAX_BARS or bars != int(bars):
            said = f"{words}: legal are 1..{MAX_BARS} whole bars; the length was left open"
            found.append(Evidence("note", None, said, 1.0, "note"))
        elif not is_negated(flat, match.start()):
            found.append(Evidence("bars", int(bars), words))
    seconds: list[Evidence] = []
    for match in _SECONDS.finditer(flat):
        if not _NOT_LENGTH.search(flat[: match.start()]):
            length = _number(match[1]) * (60 if match[2].startswith("m") else 1)
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
