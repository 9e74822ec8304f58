"""The one request that every door fills: options of the command line, a line of a batch, a page, an HTTP body.

Conventions
-----------
field
    A dataclass field annotated with :class:`About`: what a door shows of it. Command-line options, the fields of batch
    lines and their help are made from this table alone.
none
    None (or an empty mapping) is *not given*: the library's own default holds.
faults
    All faults of a request are reported at once, in one :class:`~muse.errors.InputError`.

Contents: :class:`ComposeRequest`, :class:`About`, :func:`about`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from muse.errors import InputError, unknown

if TYPE_CHECKING:
    from muse.composer import Ranking, Sampling
    from muse.intent import Intent
    from muse.prompts import Parsed
    from muse.tokens.plan import Plan

__all__ = ["FILES", "PROMPTS", "About", "ComposeRequest", "about"]

PROMPTS: Final = ("text", "tags", "image", "video", "hum", "like")
"""Fields that are prompts, read by :mod:`muse.prompts`."""
FILES: Final = ("image", "video", "hum", "like", "melody", "plan")
"""Fields that are files."""
_GIVEN = ("chords", "form", "melody", "plan")


@dataclass(frozen=True)
class About:
    """What a door shows of a field."""

    help: str
    """One sentence."""
    form: str = ""
    """What a value looks like, for example ``N`` or ``A,B,...``."""


@dataclass(frozen=True, kw_only=True)
class ComposeRequest:
    """A piece that is asked for.

    Raises
    ------
    InputError
        Fields contradict one another or have values that are not legal; says all of it at once.
    """

    text: Annotated[
        str | None, About("What you want, in English: 'a bittersweet farewell, slow strings, 3/4'.", "T")
    ] = None
    tags: Annotated[str | None, About("Tags or emoji, with weights if you like: 'sad:0.7, epic'.", "A,B,...")] = None
    image: Annotated[str | None, About("A picture to write music for.", "FILE")] = None
    video: Annotated[str | None, About("A video to write music for, as long as it lasts.", "FILE")] = None
    hum: Annotated[str | None, About("A hummed or whistled tune that the piece is written to.", "FILE")] = None
    like: Annotated[str | None, About("A piece (MIDI or sound) that the music should be like.", "FILE")] = None
    emotion: Annotated[str | None, About("Emotion: a word, or a quadrant.", "WORD|Q1..Q4")] = None
    arc: Annotated[str | None, About("Emotions in turn, for example 'calm>tense>triumphant'.", "E>E...")] = None
    valence: Annotated[float | None, About("Pleasantness, -1..1; needs arousal.", "V")] = None
    arousal: Annotated[float | None, About("Activation, -1..1; needs valence.", "A")] = None
    genre: Annotated[str | None, About("Genre; `muse list genres` names them.", "NAME")] = None
    instruments: Annotated[
        str | list[str] | None,
        About("General MIDI names, families or programs, for example piano,violin.", "A,B,..."),
    ] = None
    key: Annotated[str | None, About("Key, for example C, Am, F#m.", "KEY")] = None
    tempo: Annotated[float | None, About("Quarter notes a minute.", "BPM")] = None
    time_signature: Annotated[str | None, About("Meter, for example 3/4.", "N/D")] = None
    bars: Annotated[
        int | None, About("Number of bars; when not given 16, or as many as chords, melody or form need.", "N")
    ] = None
    chords: Annotated[str | None, About("Chords to keep, repeated to the end: 'Am | F | C G'.", "'C | C ...'")] = None
    form: Annotated[str | None, About("Sections that return: AABA, or with their bars A8 B16 A8.", "AABA")] = None
    melody: Annotated[str | None, About("A tune to keep note for note (MIDI, ABC, MusicXML).", "FILE")] = None
    plan: Annotated[str | None, About("A lead sheet to arrange as it is (JSON, ABC, MusicXML).", "FILE")] = None
    attributes: Annotated[
        Mapping[str, float], About("Attributes to ask for, for example 'Mean Pitch=72'.", "ATTRIBUTE=VALUE")
    ] = field(default_factory=dict)
    candidates: Annotated[int, About("Pieces to make; the best is kept.", "N")] = 8
    seed: Annotated[int | None, About("The same seed gives the same file.", "N")] = None
    temperature: Annotated[float | None, About("Boldness of sampling.", "T")] = None
    top_p: Annotated[float | None, About("Share of probability to sample from, 0..1.", "P")] = None
    guidance: Annotated[float | None, About("How strongly the request pulls; 1 is no extra pull.", "G")] = None
    rank: Annotated[
        Mapping[str, float],
        About(
            "Weights of adherence, quality, emotion and genre in choosing, for example quality=2,genre=0.", "TERM=W,..."
        ),
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise InputError("; ".join(faults))

    def _faults(self) -> typing.Iterator[str]:
        for name in (*PROMPTS, "emotion", "arc", "genre", "key", "time_signature", *_GIVEN):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                yield f"{name} is {value!r}: give a string"
        for name in ("seed", "candidates"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            if not whole and not (name == "seed" and value is None):
                yield f"{name} is {value!r}: give a whole number"
        for name in ("attributes", "rank"):
            value = getattr(self, name)
            if not isinstance(value, Mapping):
                yield f"{name} is {value!r}: give names with their numbers"
        ways = [way for way in ("emotion", "arc") if getattr(self, way) is not None]
        if self.valence is not None or self.arousal is not None:
            ways.append("valence and arousal")
            if self.valence is None or self.arousal is None:
                yield "valence and arousal belong together: give both, each in -1..1"
        if self.plan is not None and (
            beside := [n for n in (*_GIVEN[:3], "hum", "bars") if getattr(self, n) is not None]
        ):
            yield f"plan says all of {', '.join(beside)} already: give one or the other"
        if self.melody is not None and self.hum is not None:
            yield "melody and hum are both a tune: give one of them"
        if len(ways) > 1:
            yield f"{', '.join(ways)} contradict one another: give the emotion in one way"

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], *, folder: Path | None = None) -> ComposeRequest:
        """A request from named values, as JSON has them; a value of null is not given.

        Parameters
        ----------
        folder
            Where the files that it names are looked for; default: the working directory.

        Raises
        ------
        InputError
            An unknown field, or a value that is not legal.
        """
        names = [one.name for one in dataclasses.fields(cls)]
        for name in fields:
            if name not in names:
                raise unknown("field", str(name), names)
        given = {name: value for name, value in fields.items() if value is not None}
        if folder is not None:
            given |= {name: str(folder / given[name]) for name in FILES if isinstance(given.get(name), str)}
        return cls(**given)

    def to_fields(self) -> dict[str, Any]:
        """What is given, by name, in JSON's types."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value not in (None, {})}

    def moved(self, intent: Intent, *, valence: float = 0.0, arousal: float = 0.0) -> ComposeRequest:
        """The same request with its emotion moved in the plane: a little happier, a little calmer.

        Parameters
        ----------
        intent
            What :meth:`understood` gave; without an emotion, the middle of the plane is moved.
        valence, arousal
            How far; the ends of the plane hold.
        """
        from muse.emotion import EmotionPath

        path = intent.emotion or EmotionPath.parse((0.0, 0.0))
        points = [
            tuple(round(min(1.0, max(-1.0, at + by)), 4) for at, by in ((e.valence, valence), (e.arousal, arousal)))
            for e in path.emotions
        ]
        if len(points) == 1:
            v, a = points[0]
            return replace(self, emotion=None, arc=None, valence=v, arousal=a)
        stops = [f"{v:g},{a:g}@{p:g}" for (v, a), p in zip(points, path.positions, strict=True)]
        return replace(self, emotion=None, arc=" > ".join(stops), valence=None, arousal=None)

    @property
    def prompts(self) -> dict[str, str]:
        """The prompts that are given, by kind."""
        return {kind: getattr(self, kind) for kind in PROMPTS if getattr(self, kind) is not None}

    @property
    def name(self) -> str:
        """What the request is called where it has no other name: its emotion, or what it was prompted by."""
        if self.valence is not None:
            return f"valence {self.valence:+g}, arousal {self.arousal:+g}"
        said = self.arc or self.emotion or self.text or self.tags
        return said or next((Path(file).stem for file in self.prompts.values()), "no emotion asked for")

    def understood(self) -> tuple[Parsed | None, Intent]:
        """The prompts as they were read (None without one), and the intent; what is said outright goes before them.

        Raises
        ------
        InputError
            A prompt cannot be read, or a field asks for something that does not exist.
        """
        from muse.intent import Intent
        from muse.prompts import lasting, parse_prompts

        parsed = parse_prompts(**self.prompts)
        given: dict[str, Any] = {
            "genre": self.genre, "instruments": self.instruments, "key": self.key, "tempo_bpm": self.tempo,
            "time_signature": self.time_signature, "bars": self.bars, "attributes": self.attributes or None,
            "chords": self.chords, "form": self.form, **self._tune(),
        }  # fmt: skip
        given["emotion"] = (self.valence, self.arousal) if self.valence is not None else self.arc or self.emotion
        outright = {name: value for name, value in given.items() if value is not None}
        if parsed is None:
            return None, self._long_enough(Intent(**outright))
        parsed = parsed.corrected(**outright)
        return parsed, self._long_enough((parsed if self.bars else lasting(parsed)).intent)

    def _long_enough(self, intent: Intent) -> Intent:
        from muse.composer import fitting_bars

        return intent if self.bars else replace(intent, bars=fitting_bars(intent))

    def _tune(self) -> dict[str, Any]:
        """The melody as an intent has it, with the meter of its file unless another is asked for."""
        if self.melody is None:
            return {}
        from muse.intent import parse_time_signature
        from muse.sheets import block_chords, read_tune

        meter = None if self.time_signature is None else parse_time_signature(self.time_signature)
        tune = read_tune(self.melody, time_signature=meter)
        numerator, denominator = tune.time_signature
        score = block_chords(tune)
        if tune.tempo_bpm is None:
            score.tempos.clear()
        return {"melody": score, "time_signature": f"{numerator}/{denominator}"}

    def lead_sheet(self) -> Plan | None:
        """The lead sheet that is to be arranged; None where none is given.

        Raises
        ------
        InputError
            The file cannot be read as one.
        """
        if self.plan is None:
            return None
        from muse.sheets import read_plan

        return read_plan(self.plan)

    def sampling(self) -> Sampling:
        """How to sample: what was given, and the default elsewhere."""
        from muse.composer import Sampling

        given: dict[str, Any] = {"temperature": self.temperature, "top_p": self.top_p, "guidance": self.guidance}
        return Sampling(**{name: value for name, value in given.items() if value is not None})

    def ranking(self) -> Ranking:
        """How to rank: the composer's default with the weights given.

        Raises
        ------
        InputError
            A weight of something that is not ranked by.
        """
        from muse.composer import DEFAULT_RANKING

        for name in self.rank:
            if name not in vars(DEFAULT_RANKING):
                raise unknown("term to rank by", name, vars(DEFAULT_RANKING))
        return replace(DEFAULT_RANKING, **self.rank)


def about(request: type) -> dict[str, tuple[Any, About, Any]]:
    """Type, description and default of every field of a request, by name."""
    hints = typing.get_type_hints(request, include_extras=True)
    found = {}
    for one in dataclasses.fields(request):
        kind, description = typing.get_args(hints[one.name])
        default = one.default if one.default is not dataclasses.MISSING else None
        found[one.name] = (kind, description, default)
    return found
