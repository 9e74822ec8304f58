"""The ``muse`` command: one Typer command per verb. It formats and exits; the library decides.

Conventions
-----------
exit code
    0; 2 with one clear line on stderr; 130 after Ctrl-C. Nothing is left half-written in any case.
``--json``
    Exactly one JSON document on stdout. Everything else (log, progress) goes to stderr, progress only to a terminal.
imports
    Every command imports what it needs when it runs, so that ``muse --help`` is instant.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol

import typer

from muse import __version__
from muse.errors import InputError, MuseError

if TYPE_CHECKING:
    from muse.composer import Composition, Ranking, Sampling
    from muse.mapping.mapper import EmotionMapper
    from muse.prompts import Parsed
    from muse.recognizer import Recognition
    from muse.selector import Selector

__all__ = ["app", "main"]


class Progress(Protocol):
    """What the library calls to say how far it is: (done, total), or the share alone."""

    def __call__(self, done: float, total: float = 1.0, /) -> None: ...


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(help=help_text, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


app = _group("Turn an emotion into symbolic music, and tell which emotion a piece carries.")
corpus_app = _group("Make training data from folders of MIDI files, or describe it.")
train_app = _group("Fit the emotion mapping, train the generator, the selector or what reads prompts.")
app.add_typer(corpus_app, name="corpus")
app.add_typer(train_app, name="train")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint", metavar="NAME|DIR", help="Generator: the name of one that comes with Muse, or a folder."
    ),
]
TextOption = Annotated[
    str | None,
    typer.Option(metavar="T", help="What you want, in English: 'a bittersweet farewell, slow strings, 3/4'."),
]
TagsOption = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Tags or emoji, with weights if you like: 'sad:0.7, epic'.")
]
ImageOption = Annotated[str | None, typer.Option(metavar="FILE", help="A picture to write music for.")]
VideoOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="A video to write music for, as long as it lasts.")
]
HumOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="A hummed or whistled tune that the piece opens with and develops.")
]
LikeOption = Annotated[str | None, typer.Option(metavar="FILE", help="A piece (MIDI) that the music should be like.")]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="F.json", help="JSON object of further arguments; options given here go before it."
    ),
]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; see the module's conventions for codes."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(arguments or ["--help"], prog_name="muse", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # the reader of our output has gone; it wants no message
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except MuseError as error:
        code = _complain(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code = _complain(f"{where}{error.strerror or error}")
    except Exception as error:
        if hasattr(error, "format_message"):  # Typer's own usage errors
            code = _complain(f"{error.format_message()} (muse --help lists commands and options)")
        elif os.environ.get("MUSE_DEBUG"):
            raise
        else:
            code = _complain(
                f"internal error, please report it: {type(error).__name__}: {error} (MUSE_DEBUG=1 tells where)"
            )
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    print(f"muse: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return 2


def _print_json(document: object) -> None:
    typer.echo(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """The same in JSON's types: numpy numbers and arrays by their Python values, NaN and infinity as null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def _log(message: str) -> None:
    typer.echo(message, err=True)


@contextlib.contextmanager
def _progress(task: str) -> Iterator[Progress | None]:
    """A progress bar on stderr, or None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task(task, total=1.0)

        def show(done: float, total: float = 1.0, /) -> None:
            bar.update(row, completed=done / max(total, 1e-9))

        yield show


def _given(**options: Any) -> dict[str, Any]:
    """Only the options that were given, so that defaults stay the library's."""
    return {name: value for name, value in options.items() if value is not None}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"muse {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


# ------------------------------------------------------------------------------------------------------------- compose


@app.command()
def compose(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.mid",
            help="MIDI file; {emotion} stands for the emotion asked for. With --batch, a folder.",
        ),
    ],
    emotion: Annotated[
        list[str] | None,
        typer.Option("--emotion", metavar="WORD|Q1..Q4", help="Emotion; several give a piece each (see --output)."),
    ] = None,
    valence: Annotated[float | None, typer.Option(metavar="V", help="Pleasantness, -1..1; needs --arousal.")] = None,
    arousal: Annotated[float | None, typer.Option(metavar="A", help="Activation, -1..1; needs --valence.")] = None,
    arc: Annotated[
        str | None, typer.Option(metavar="E>E...", help="Emotions in turn, for example 'calm>tense>triumphant'.")
    ] = None,
    genre: Annotated[
        str | None, typer.Option(metavar="NAME", help="Genre; an unknown one lists those that are known.")
    ] = None,
    instruments: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="General MIDI names, families or programs, for example piano,violin."),
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Key, for example C, Am, F#m.")] = None,
    tempo: Annotated[float | None, typer.Option(metavar="BPM", help="Quarter notes a minute.")] = None,
    time_signature: Annotated[
        str | None, typer.Option("--time-signature", metavar="N/D", help="Meter, for example 3/4.")
    ] = None,
    bars: Annotated[int | None, typer.Option(metavar="N", help="Number of bars; 16 when not given.")] = None,
    candidates: Annotated[int, typer.Option(metavar="N", help="Pieces to make; the best is written.")] = 4,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="The same seed gives the same file.")] = None,
    temperature: Annotated[float | None, typer.Option(metavar="T", help="Boldness of sampling.")] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", metavar="P", help="Share of probability to sample from, 0..1.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(metavar="G", help="How strongly the request pulls; 1 is no extra pull.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="ATTRIBUTE=VALUE", help="Ask for an attribute, for example 'Mean Pitch=72'; repeatable."
        ),
    ] = None,
    text: TextOption = None,
    tags: TagsOption = None,
    image: ImageOption = None,
    video: VideoOption = None,
    hum: HumOption = None,
    like: LikeOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print what was understood of the prompts.")] = False,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="F.jsonl", help="Many requests, one JSON object a line; what is finished is not done again."
        ),
    ] = None,
    rank: Annotated[
        str | None,
        typer.Option(
            metavar="TERM=W,...",
            help="Weights of adherence, quality, emotion and genre in choosing, for example quality=2,genre=0.",
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    sheet: Annotated[str | None, typer.Option(metavar="F.musicxml", help="Write notation as well.")] = None,
    plot: Annotated[str | None, typer.Option(metavar="F.png", help="Draw the piano roll as well (PNG or SVG).")] = None,
    audio: Annotated[
        str | None, typer.Option(metavar="F.wav", help="Write the sound as well (WAV, FLAC, MP3 or M4A).")
    ] = None,
    mux: Annotated[
        str | None, typer.Option(metavar="F.mp4", help="Write the video of --video with the music as its sound.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compose a piece from an emotion or from prompts, and write it as MIDI."""
    requests = _requests(emotion, valence, arousal, arc)
    fields = _given(
        genre=genre, tempo_bpm=tempo, key=key, time_signature=time_signature, instruments=instruments, bars=bars
    )
    attributes = _assignments("--set", set_ or [])
    weights = _assignments("--rank", rank.split(",") if rank else [])

    from muse.intent import Intent
    from muse.prompts import lasting, parse_prompts

    prompts = {"text": text, "tags": tags, "image": image, "video": video, "hum": hum, "like": like}
    if batch is not None:
        _compose_batch(
            batch, output, checkpoint, given=[*fields, *attributes, *(name for name, one in prompts.items() if one)],
            emotions=requests != [_NO_EMOTION], extras=[sheet, plot, audio, mux], candidates=candidates, seed=seed,
            options={"temperature": temperature, "top_p": top_p, "guidance": guidance}, weights=weights,
            as_json=as_json,
        )  # fmt: skip
        return
    if mux is not None and (video is None or len(requests) > 1):
        raise InputError("--mux needs --video, and one piece: the music becomes the sound of that video")
    parsed = parse_prompts(**prompts)
    if parsed is None:
        intents = [Intent(emotion=wanted, attributes=attributes, **fields) for _, wanted in requests]
    else:
        if explain:
            _print_evidence(parsed, err=as_json)
        # What options say outright goes before what was read from prompts.
        fields |= {"attributes": attributes} if attributes else {}
        corrected = [parsed.corrected(**fields, **_given(emotion=wanted)) for _, wanted in requests]
        intents = [(one if bars else lasting(one)).intent for one in corrected]
        if requests == [_NO_EMOTION]:
            names = [Path(one).stem for one in (image, video, hum, like) if one]
            requests = [(text or tags or names[0], None)]
    several = len(requests) > 1
    outputs = [
        _Outputs.of(name, output, several=several, sheet=sheet, plot=plot, audio=audio, mux=mux) for name, _ in requests
    ]

    from muse.composer import Composer

    ranking, sampling = _choices(weights, {"temperature": temperature, "top_p": top_p, "guidance": guidance})
    composer = Composer.from_pretrained(**_given(name_or_path=checkpoint))
    documents = []
    for (name, _), intent, files in zip(requests, intents, outputs, strict=True):
        with _progress(f"composing {name}") as progress:
            piece = composer.compose(
                intent, n_candidates=candidates, sampling=sampling, ranking=ranking, seed=seed, progress=progress
            )
        files.write(piece, title=name, video=video)
        documents.append({"output": files.midi, **piece.to_json()})
        if not as_json:
            typer.echo(f"{files.midi}\n{piece.report()}")
    if as_json:
        _print_json(documents if len(documents) > 1 else documents[0])


@app.command()
def intent(
    text: TextOption = None,
    tags: TagsOption = None,
    image: ImageOption = None,
    video: VideoOption = None,
    hum: HumOption = None,
    like: LikeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what is understood of prompts, and by what evidence; composes nothing."""
    from muse.prompts import KINDS, parse_prompts

    parsed = parse_prompts(text=text, tags=tags, image=image, video=video, hum=hum, like=like)
    if parsed is None:
        raise InputError(f"there is no prompt; give {', '.join('--' + kind for kind in KINDS)}")
    if as_json:
        _print_json(parsed.to_dict())
    else:
        _print_evidence(parsed)


def _choices(weights: Mapping[str, float], options: Mapping[str, float | None]) -> tuple[Ranking, Sampling]:
    """How to rank and how to sample."""
    from muse.composer import DEFAULT_RANKING, DEFAULT_SAMPLING

    if unknown := [name for name in weights if name not in vars(DEFAULT_RANKING)]:
        raise InputError(f"--rank: unknown {', '.join(unknown)}; legal are {', '.join(vars(DEFAULT_RANKING))}")
    return replace(DEFAULT_RANKING, **weights), replace(DEFAULT_SAMPLING, **_given(**options))


def _compose_batch(
    path: str,
    folder: str,
    checkpoint: str | None,
    *,
    given: Sequence[str],
    emotions: bool,
    extras: Sequence[str | None],
    candidates: int,
    seed: int | None,
    options: Mapping[str, float | None],
    weights: Mapping[str, float],
    as_json: bool,
) -> None:
    from muse.composer import Composer
    from muse.tasks.batch import compose_batch, read_requests

    if given or emotions or any(extras):
        raise InputError("--batch: what to compose stands in the file; beside it go --seed, --candidates and sampling")
    if Path(folder).suffix.lower() in (".mid", ".midi") or Path(folder).is_file():
        raise InputError(f"--output {folder}: --batch writes many files; give a folder")
    requests = read_requests(path)
    ranking, sampling = _choices(weights, options)
    composer = Composer.from_pretrained(**_given(name_or_path=checkpoint))
    defaults = {"candidates": candidates, **_given(seed=seed)}
    documents, failed, kept = [], 0, 0
    with _progress(f"composing {len(requests)} pieces") as progress:
        for outcome in compose_batch(
            requests, folder, composer, defaults=defaults, progress=progress, ranking=ranking, sampling=sampling
        ):
            if outcome.document is None:
                failed += 1
                _log(f"muse: {path}, line {outcome.request.line}: {outcome.fault}")
                documents.append({"line": outcome.request.line, "id": outcome.request.id, "error": outcome.fault})
            else:
                kept += outcome.was_finished
                documents.append(dict(outcome.document))
    if as_json:
        _print_json(documents)
    else:
        made = len(requests) - failed - kept
        typer.echo(f"{folder}: {made} composed, {kept} finished before, {failed} failed")
    if failed:
        raise typer.Exit(2)


_NO_EMOTION = ("no emotion asked for", None)


def _print_evidence(parsed: Parsed, *, err: bool = False) -> None:
    for row in parsed.evidence:
        typer.echo(str(row), err=err)
    asked = {name: value for name, value in parsed.intent.to_dict().items() if value not in (None, {}, [])}
    typer.echo("intent: " + ", ".join(f"{name} {value}" for name, value in asked.items()), err=err)


def _requests(
    emotions: list[str] | None, valence: float | None, arousal: float | None, arc: str | None
) -> list[tuple[str, str | tuple[float, float] | None]]:
    """(name, emotion as Intent reads it) of every piece that is asked for."""
    ways = [way for way, given in (("--emotion", emotions), ("--arc", arc)) if given]
    if valence is not None or arousal is not None:
        ways.append("--valence and --arousal")
    if len(ways) > 1:
        raise InputError(f"{', '.join(ways)} contradict one another; give the emotion in one way")
    if (valence is None) != (arousal is None):
        raise InputError("--valence and --arousal belong together; give both, each in -1..1")
    if valence is not None and arousal is not None:
        return [(f"valence {valence:+g}, arousal {arousal:+g}", (valence, arousal))]
    if arc:
        return [(arc, arc)]
    return [(word, word) for word in emotions or []] or [_NO_EMOTION]


def _assignments(option: str, texts: Sequence[str]) -> dict[str, float]:
    """``["Mean Pitch=72"]`` -> ``{"Mean Pitch": 72.0}``, every fault of them reported at once."""
    values, faults = {}, []
    for text in texts:
        name, equals, number = text.rpartition("=")
        try:
            if not equals:
                raise ValueError
            values[name.strip()] = float(number)
        except ValueError:
            form, example = ("ATTRIBUTE", "Mean Pitch=72") if option == "--set" else ("TERM", "quality=2")
            faults.append(f"{text!r} is not {form}=NUMBER, for example {example!r}")
    if faults:
        raise InputError(f"{option}: {'; '.join(faults)}")
    return values


@dataclass(frozen=True)
class _Outputs:
    """Files of one piece, checked before anything is composed."""

    midi: Path
    sheet: Path | None
    plot: Path | None
    audio: Path | None
    mux: Path | None

    @classmethod
    def of(cls, name: str, output: str, *, several: bool, **more: str | None) -> _Outputs:
        from muse.audio import CODECS
        from muse.render import PICTURE_SUFFIXES, SHEET_SUFFIXES

        def path(option: str, text: str | None, suffixes: tuple[str, ...]) -> Path | None:
            if text is None:
                return None
            if several and "{emotion}" not in text:
                raise InputError(
                    f"{option} {text}: several pieces need {{emotion}} in the name, for example out/{{emotion}}.mid"
                )
            path = Path(text.replace("{emotion}", re.sub(r"[^\w.+-]+", "-", name).strip("-")))
            if path.suffix.lower() not in suffixes:
                raise InputError(f"{option} {path}: the name must end in {' or '.join(suffixes)}")
            if path.is_dir():
                raise InputError(f"{option} {path}: is a folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            return path

        midi = path("--output", output, (".mid", ".midi"))
        suffixes = {
            "sheet": SHEET_SUFFIXES, "plot": PICTURE_SUFFIXES, "audio": tuple(CODECS), "mux": (".mp4", ".mkv", ".mov"),
        }  # fmt: skip
        return cls(midi or Path(), **{kind: path(f"--{kind}", more[kind], suffixes[kind]) for kind in suffixes})

    def write(self, piece: Composition, *, title: str, video: str | None) -> None:
        from muse.render import SAMPLE_RATE, piano_roll, render_audio, write_musicxml

        piece.save(self.midi)
        if self.sheet:
            write_musicxml(piece.best.score, self.sheet, title=title)
        if self.plot:
            piano_roll(piece.best.score, self.plot, title=title)
        if self.audio or self.mux:
            samples = render_audio(piece.best.score, self.audio)
            if self.mux and video:
                from muse.audio import mux

                mux(video, samples, SAMPLE_RATE, self.mux)


# ------------------------------------------------------------------------------------------------------------- analyze


@app.command()
def analyze(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="MIDI files, or sound files.")],
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="F.png",
            help="Draw what speaks for and against the emotion, of sound its curve (PNG or SVG); {file} stands for the "
            "file's name.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell emotion, key, tempo, genre, quality and attributes of MIDI files, and why they sound as they do.

    Of sound files, what the recogniser hears (muse recognize).

    Reasons are contributions to log-odds: of the recognized quadrant against its neighbor in valence, and against its
    neighbor in arousal. In JSON, score.valence is score.baseline.valence (the middle of the corpus) plus the sum of
    contribution.valence over explanation[], and arousal likewise. heard, genre and quality are the selector's.
    """
    plots = _plots(files, plot)

    from functools import cache

    from muse.corpora.recordings import AUDIO_SUFFIXES
    from muse.mapping.mapper import EmotionMapper
    from muse.recognizer import Recognizer
    from muse.selector import Selector

    mapper, selector = cache(EmotionMapper.load), cache(Selector.from_pretrained)
    recognizer = cache(Recognizer.from_pretrained)

    def tell(file: str, picture: Path | None) -> dict[str, Any]:
        if Path(file).suffix.lower() in AUDIO_SUFFIXES:
            return _heard(file, recognizer().recognize(file), picture)
        return _analysis(file, mapper(), selector(), picture)

    rows = _of_each(files, plots, "analyzing", tell)
    if as_json:
        _print_json(rows)
    else:
        for row in rows:
            if "error" not in row:
                (_print_analysis if "attributes" in row else _print_recognition)(row)
    _fail_for(rows)


def _heard(file: str, heard: Recognition, plot: Path | None, dynamic: bool = False) -> dict[str, Any]:
    """One row of the JSON of ``recognize``, and of ``analyze`` for sound."""
    if plot is not None:
        from muse.render import emotion_curves

        emotion_curves(heard.time_sec, heard.curve, heard.curve_spread, plot, title=Path(file).name)
    return {name: value for name, value in heard.to_dict().items() if dynamic or name != "curve"}


def _of_each(
    files: Sequence[str],
    plots: Sequence[Path | None],
    task: str,
    tell: Callable[[str, Path | None], Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """A row for each file; one that cannot be used has its error, and the others go on."""
    rows: list[dict[str, Any]] = []
    with _progress(task) as progress:
        for i, (file, picture) in enumerate(zip(files, plots, strict=True)):
            try:
                rows.append({"file": file, **tell(file, picture)})
            except MuseError as error:
                rows.append({"file": file, "error": " ".join(str(error).split())})
            if progress:
                progress(i + 1, len(files))
    return rows


def _fail_for(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say what went wrong in rows, and end the command if anything did."""
    errors = [row["error"] for row in rows if "error" in row]
    for error in errors:
        _complain(error)
    if errors:
        raise typer.Exit(2)


@app.command()
def recognize(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Sound files (WAV, FLAC, Ogg, MP3, M4A), or folders of them.")
    ],
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Valence and arousal every half second too, with their spread.")
    ] = False,
    ratings: Annotated[
        str | None,
        typer.Option(
            metavar="F.csv",
            help="What one listener said (columns time_s, valence, arousal, and file where it is of other files): the "
            "answer is adapted to them.",
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="F.jsonl",
            help="For folders: add a line a file to this table; files that are in it already are not heard again.",
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="F.png", help="Draw the curves (PNG or SVG); {file} stands for the file's name."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table: a row per file, or per half second.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell the emotion of sound: valence, arousal, quadrant, what listeners feel, and the key."""
    if as_csv and as_json:
        raise InputError("--csv and --json exclude each other: choose one")

    from muse.recognizer import Recognizer
    from muse.tasks.library import sound_files

    if table is not None:
        if as_csv or plot or ratings:
            raise InputError("--table writes a table of its own: leave out --csv, --plot and --ratings")
        _recognize_library(files, table, dynamic, as_json)
        return
    files = [str(path) for file in files for path in (sound_files(file) if Path(file).is_dir() else [file])]
    plots = _plots(files, plot)
    recognizer = Recognizer.from_pretrained()
    own, others = _ratings(ratings) if ratings else (None, [])
    if own is not None and len(files) > 1:
        raise InputError(f"{ratings} has ratings without a file: name their files in a column, or give one file")
    listener = recognizer.listener(others) if others else None

    def tell(file: str, picture: Path | None) -> dict[str, Any]:
        heard = recognizer.recognize(file, listener=listener, ratings=own)
        return _heard(file, heard, picture, dynamic)

    rows = _of_each(files, plots, "listening", tell)
    if as_json:
        _print_json(rows)
    elif as_csv:
        _print_recognition_csv(rows, dynamic)
    else:
        for row in rows:
            if "error" not in row:
                _print_recognition(row)
    _fail_for(rows)


def _recognize_library(folders: Sequence[str], table: str, dynamic: bool, as_json: bool) -> None:
    from muse.recognizer import Recognizer
    from muse.tasks.library import recognize_library

    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError(f"{folder} is no folder: --table is for folders")
    with _progress("listening") as progress:
        told = recognize_library(Recognizer.from_pretrained, folders, table, dynamic=dynamic, progress=progress)
    document = {"table": table, "new": told.n_new, "known": told.n_known, "errors": list(told.errors)}
    if as_json:
        _print_json(document)
    else:
        typer.echo(f"{table}: {told.n_new} new, {told.n_known} known before, {len(told.errors)} could not be heard")
    _fail_for([{"error": error} for error in told.errors])


def _ratings(table: str) -> tuple[Any, list[tuple[Path, Any]]]:
    """A listener's ratings from a table: of the file that is asked for (no file is named) and of others, [n, 3]."""
    import csv

    import numpy as np

    path = Path(table)
    if not path.is_file():
        raise InputError(f"{path}: no such file: give a table of ratings")
    rows: dict[str, list[list[float]]] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for line, row in enumerate(csv.DictReader(stream), start=2):
            try:
                point = [float(row[name]) for name in ("time_s", "valence", "arousal")]
            except (KeyError, TypeError, ValueError):
                raise InputError(f"{path}, line {line}: time_s, valence and arousal must be numbers") from None
            rows.setdefault(row.get("file") or "", []).append(point)
    if not rows:
        raise InputError(f"{path} has no ratings: give rows of time_s, valence, arousal")
    arrays = {name: np.array(sorted(points)) for name, points in rows.items()}
    return arrays.pop("", None), [(path.parent / name, points) for name, points in arrays.items()]


def _print_recognition(row: Mapping[str, Any]) -> None:
    emotion, (valence_spread, arousal_spread) = row["emotion"], row["emotion"]["spread"]
    doubt = "" if row["music"] >= 0.5 else f"; music only with a probability of {row['music']:.2f}"
    typer.echo(f"{row['file']}: {emotion['quadrant']} (confidence {row['confidence']:.2f}{doubt})")
    typer.echo(
        f"  valence {emotion['valence']:+.2f} ± {valence_spread:.2f}, arousal {emotion['arousal']:+.2f} ± "
        f"{arousal_spread:.2f}, key {row['key'] or 'none'}, {row['duration_s']:.1f} s"
    )
    tags = {name: row["tags"][name] for name in row["named"]} or row["tags"]
    felt = sorted(tags.items(), key=lambda item: -item[1])[:3]
    typer.echo("  felt: " + ", ".join(f"{name.replace('_', ' ')} {value:.0%}" for name, value in felt))
    for point in row.get("curve", ()):
        typer.echo(f"  {point['time_s']:8.2f} s  valence {point['valence']:+.2f}  arousal {point['arousal']:+.2f}")


def _print_recognition_csv(rows: Sequence[Mapping[str, Any]], dynamic: bool) -> None:
    import csv

    writer = csv.writer(sys.stdout)
    told = [row for row in rows if "error" not in row]
    if dynamic:
        writer.writerow(["file", "time_s", "valence", "arousal", "valence_spread", "arousal_spread"])
        writer.writerows([row["file"], *point.values()] for row in told for point in row["curve"])
        return
    tags = list(told[0]["tags"]) if told else []
    writer.writerow(["file", "valence", "arousal", "quadrant", "music", "confidence", "key", "duration_s", *tags])
    for row in told:
        emotion = row["emotion"]
        facts = [emotion["valence"], emotion["arousal"], emotion["quadrant"]]
        facts += [row["music"], row["confidence"], row["key"] or ""]
        writer.writerow([row["file"], *facts, row["duration_s"], *row["tags"].values()])


def _plots(files: Sequence[str], plot: str | None) -> list[Path | None]:
    """Where to draw each file, checked before anything is analyzed."""
    if plot is None:
        return [None] * len(files)
    from muse.render import PICTURE_SUFFIXES

    paths = [Path(plot.replace("{file}", Path(file).stem)) for file in files]
    if len(files) > 1 and "{file}" not in plot:
        raise InputError(f"--plot {plot}: several files need {{file}} in the name, for example plots/{{file}}.png")
    if twice := sorted({str(path) for path in paths if paths.count(path) > 1}):
        raise InputError(f"--plot {plot}: several files of one name would be drawn into {', '.join(twice)}")
    for path in paths:
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            raise InputError(f"--plot {path}: the name must end in {' or '.join(PICTURE_SUFFIXES)}")
        if path.is_dir():
            raise InputError(f"--plot {path}: is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
    return list(paths)


def _analysis(file: str, mapper: EmotionMapper, selector: Selector, plot: Path | None = None) -> dict[str, Any]:
    """One row of the JSON of ``analyze``."""
    from muse.attributes import extract
    from muse.score import bar_grid, mean_tempo_bpm, note_array, read_score
    from muse.selector.events import MIN_NOTES
    from muse.theory import estimate_key

    score = read_score(file)
    notes = note_array(score)
    if not len(notes):
        raise InputError(f"{file}: has no notes, so there is nothing to analyze")
    attributes = extract(score)
    key = estimate_key(notes)
    explanation = mapper.explain(attributes)
    ratings = selector.rate([score])[0] if len(notes) >= MIN_NOTES else None
    if plot:
        from muse.render import signed_bars

        signed_bars(*explanation.bars(), plot, title=Path(file).name)
    return {
        "emotion": mapper.describe(attributes),
        # The selector's own opinion, from the notes themselves; null where there are too few of them.
        "heard": {**ratings.emotion.to_dict(), "quadrant": ratings.emotion.quadrant} if ratings else None,
        "attributes": attributes.to_dict(),
        "key": None if key is None else str(key),
        "tempo": round(mean_tempo_bpm(score), 2),
        "genre": dict(ratings.genres) if ratings else None,
        "quality": ratings.quality if ratings else None,
        **explanation.to_json(),
        "bars": bar_grid(score).n_bars,
        "duration_s": round(float((notes["onset_sec"] + notes["duration_sec"]).max()), 3),
        "n_notes": len(notes),
    }


def _print_analysis(row: Mapping[str, Any], n_reasons: int = 6) -> None:
    """The sentence, the facts, and the weightiest attributes."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    minutes, seconds = divmod(round(row["duration_s"]), 60)
    facts = [row["key"] or "no key", f"{row['tempo']:.0f} bpm", f"{row['bars']} bars", f"{minutes}:{seconds:02d}"]
    console.print(row["file"], soft_wrap=True)
    console.print(row["summary"])
    console.print(f"{', '.join(facts)}, {row['n_notes']} notes")
    if heard := row["heard"]:
        genres = sorted(row["genre"].items(), key=lambda item: -item[1])[:2]
        console.print(
            f"quality {row['quality']:.2f}, genre {', '.join(f'{name} {p:.2f}' for name, p in genres)}; selector "
            f"hears {heard['quadrant']} (valence {heard['valence']:+.2f}, arousal {heard['arousal']:+.2f})"
        )
    table = Table(box=None, pad_edge=False)
    for heading in ("attribute", "value", "typical", "percentile", "valence", "arousal"):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    for reason in row["explanation"][:n_reasons]:
        told = (reason["value"], reason["corpus_median"])
        table.add_row(
            f"{reason['attribute']} ({reason['unit']})",
            *("-" if value is None else f"{value:.3g}" for value in told),
            "-" if reason["percentile"] is None else f"{100 * reason['percentile']:.0f}",
            *(f"{reason['contribution'][axis]:+.2f}" for axis in ("valence", "arousal")),
        )
    score = row["score"]
    rest = row["explanation"][n_reasons:]
    for name, parts in (
        ("all others", [sum(reason["contribution"][axis] for reason in rest) for axis in ("valence", "arousal")]),
        ("middle of the corpus", [score["baseline"][axis] for axis in ("valence", "arousal")]),
        ("all together", [score[axis] for axis in ("valence", "arousal")]),
    ):
        table.add_row(name, "", "", "", *(f"{part:+.2f}" for part in parts))
    console.print(table)
    console.print()


# -------------------------------------------------------------------------------------------------------------- corpus


@corpus_app.command("build")
def corpus_build(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="Folders of MIDI files, labels as they come.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the dataset; an old run is resumed.")
    ],
    licence: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Take only permissive, copyleft, nc or unclear; repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Take at most N songs of each corpus.")] = None,
    processes: Annotated[
        int | None, typer.Option(metavar="N", help="Worker processes; one per core when not given.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Clean, align, cut and label MIDI files into Parquet shards."""
    from muse.dataset import build_corpus
    from muse.dataset.build import Settings

    options = _given(licence_classes=licence, limit=limit, n_processes=processes)
    settings = Settings(**_config(config, Settings))
    with _progress("building") as progress:
        document = build_corpus(sources, output, settings=settings, progress=progress, **options)
    _print_document(document, as_json)


@corpus_app.command("info")
def corpus_info(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder that `muse corpus build` made.")],
    as_json: JsonOption = False,
) -> None:
    """Count what a dataset holds, by source, licence, split and label."""
    from muse import dataset

    _print_document(dataset.corpus_info(folder), as_json)


def _print_document(document: Mapping[str, Any], as_json: bool) -> None:
    """A mapping as JSON, or as indented lines for people."""
    if as_json:
        _print_json(document)
    else:
        typer.echo("\n".join(_lines(_plain(document))))


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else ((f"{i}.", item) for i, item in enumerate(value, start=1))
    for name, item in items:
        if isinstance(item, list) and not any(isinstance(part, (dict, list)) for part in item):
            yield f"{indent}{name}: {', '.join(_shown(part) for part in item) or '-'}"
        elif isinstance(item, (dict, list)) and item:
            yield f"{indent}{name}"
            yield from _lines(item, indent + "  ")
        else:
            yield f"{indent}{name}: {_shown(item)}"


def _shown(value: Any) -> str:
    return "-" if value in (None, {}) else f"{value:.4g}" if isinstance(value, float) else str(value)


# -------------------------------------------------------------------------------------------------------------- train


@train_app.command("mapping")
def train_mapping(
    corpora: Annotated[
        list[str],
        typer.Argument(metavar="SRC...", help="Folder of the corpora, or folders of single ones: EMOPIA, VGMIDI ..."),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the tables and the report.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the emotion mapping on labelled corpora and write its tables and report."""
    from muse.training.mapping.fit import fit_mapping

    options = _config(config, fit_mapping, taken=("corpora", "output", "progress"))
    with _progress("fitting") as progress:
        document = fit_mapping(corpora, output, progress=progress, **options)
    _print_document(document, as_json)


@train_app.command("generator")
def train_generator(
    corpus: Annotated[str, typer.Argument(metavar="DIR", help="Dataset that `muse corpus build` made.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint; an old run is resumed.")
    ],
    size: Annotated[str | None, typer.Option(metavar="NAME", help="tiny, mini, small or base.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Optimizer steps.")] = None,
    minutes: Annotated[float | None, typer.Option(metavar="M", help="Stop after M minutes; resumable.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of data order and dropout of controls.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on with an unfinished run, or forget it.")
    ] = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a generator and write it with card, metrics and tokenizer."""
    from muse.training.generator import Settings, train

    options = _config(config, Settings) | _given(size=size, max_steps=steps, max_minutes=minutes, seed=seed)
    with contextlib.redirect_stdout(sys.stderr):  # Lightning's bar and tables
        document = train(corpus, output, resume=resume, progress=sys.stderr.isatty(), **options)
    _print_document(document, as_json)


@train_app.command("samples")
def train_samples(
    corpus: Annotated[str, typer.Argument(metavar="DIR", help="Dataset that the generator learnt from.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the samples; an old run is resumed.")
    ],
    checkpoint: CheckpointOption = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="train, val or test.")] = None,
    windows: Annotated[int | None, typer.Option(metavar="N", help="Real windows to compose beside.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Same seed, same samples.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compose beside real windows, for the selector to tell the two apart."""
    from muse.dataset.read import Corpus
    from muse.training.selector.samples import write_samples

    options = _given(checkpoint=checkpoint, split=split, n_windows=windows, seed=seed)
    with _progress("composing") as progress:
        n = write_samples(Corpus(corpus), output, progress=progress, **options)
    _print_document({"output": output, "samples": n}, as_json)


@train_app.command("selector")
def train_selector(
    corpus: Annotated[str, typer.Argument(metavar="DIR", help="Dataset of all corpora.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint; an old run is resumed.")
    ],
    samples: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="Samples by `muse train samples`; repeatable, early stages of training last."),
    ] = None,
    corpora: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder with emopia-nc and vgmidi-unclear, for the experts.")
    ] = None,
    init: Annotated[str | None, typer.Option(metavar="NAME|DIR", help="Checkpoint to begin from.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Optimizer steps.")] = None,
    minutes: Annotated[float | None, typer.Option(metavar="M", help="Stop after M minutes; resumable.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of everything random.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on with an unfinished run, or forget it.")
    ] = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the selector: masked events first, then quality, emotion and genre from those weights."""
    from muse.evaluate.selector import calibrate
    from muse.training.selector.fit import Settings, train
    from muse.training.selector.samples import read_samples

    options = _config(config, Settings) | _given(init=init, max_steps=steps, max_minutes=minutes, seed=seed)
    drawn = [(stage, sample) for stage, folder in enumerate(samples or []) for sample in read_samples(folder)]
    pairs = [((stage, sample.rank), sample.ids) for stage, sample in drawn if sample.row % 10]
    kept = [sample for _, sample in drawn if sample.row % 10 == 0]
    with contextlib.redirect_stdout(sys.stderr):  # Lightning's bar and tables
        document = train(corpus, output, samples=pairs, resume=resume, progress=sys.stderr.isatty(), **options)
    if "masked" not in options.get("tasks", ()):
        calibrate(output, corpus, kept, corpora)
    _print_document(document, as_json)


DataArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="DIR...",
        help="Folders of datasets, named after them: emotify, emopia, vgmidi, memomusic, mtg-jamendo, deam, pmemo or "
        "emomusic.",
    ),
]
ChordsOption = Annotated[str, typer.Option(metavar="DIR", help="Folder of POP909, to learn chords and keys from.")]
CacheOption = Annotated[
    str, typer.Option(metavar="DIR", help="Folder that keeps what was heard; an interrupted run goes on from it.")
]
EncoderOption = Annotated[
    str, typer.Option(metavar="NAME|DIR", help="musicnn, a folder of MERT, or a MERT of the hub (m-a-p/MERT-v1-95M).")
]


@train_app.command("recognizer")
def train_recognizer_command(
    data: DataArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint.")],
    chords: ChordsOption,
    cache: CacheOption = "runs/recognizer",
    encoder: EncoderOption = "musicnn",
    other: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="Folder of sounds that are no music (speech), beside the noise that is made."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Train the recogniser of sound on labelled recordings and rendered MIDI."""
    from muse.training.recognizer.fit import RecognizerConfig, train_recognizer

    settings = RecognizerConfig(**_config(config, RecognizerConfig))
    with _progress("training the recogniser") as progress:
        report = train_recognizer(
            data, chords, output, cache=cache, other=other or (), encoder=encoder, config=settings, progress=progress
        )
    _print_json(report)


@train_app.command("recognizer-report")
def train_recognizer_report(
    data: DataArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the report; resumable.")],
    chords: ChordsOption,
    cache: CacheOption = "runs/recognizer",
    encoder: EncoderOption = "musicnn",
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Of datasets without a split of their own.")] = 5,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Networks of each fold.")] = 3,
    pairs: Annotated[bool, typer.Option("--pairs", help="The first dataset with each other, too.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the recogniser on clips that were held out: baselines, single datasets, without each of its parts."""
    from muse.training.recognizer.fit import RecognizerConfig
    from muse.training.recognizer.report import evaluate_recognizer

    settings = RecognizerConfig(**_config(config, RecognizerConfig))
    with _progress("measuring the recogniser") as progress:
        report = evaluate_recognizer(
            data, chords, output, cache=cache, encoder=encoder, n_folds=folds, n_seeds=seeds, pairs=pairs,
            config=settings,
            progress=progress,
        )  # fmt: skip
    if as_json:
        _print_json(report)
    else:
        typer.echo((Path(output) / "report.md").read_text(encoding="utf-8"))


@train_app.command("mert-small")
def train_mert_small(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="Folders of MIDI files and recordings.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint; an old run is resumed.")
    ],
    cache: CacheOption = "runs/mert-small",
    takes: Annotated[int, typer.Option(metavar="N", min=1, help="Renderings of each source.")] = 3,
    soundfont: Annotated[
        list[str] | None, typer.Option(metavar="F.sf2", help="Soundfonts to choose from; repeatable.")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Optimizer steps.")] = None,
    minutes: Annotated[float, typer.Option(metavar="M", help="Stop after M minutes of training; resumable.")] = 0.0,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of everything random.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pre-train an encoder of sound by MERT's recipe: masked frames, an acoustic and a musical teacher."""
    from muse.training.recognizer.pretrain import PretrainConfig, make_takes, pretrain

    settings = PretrainConfig(**(_config(config, PretrainConfig) | _given(n_steps=steps, seed=seed)))
    with _progress("rendering") as progress:
        made = make_takes(
            sources, cache, n_takes=takes, soundfonts=soundfont or (), embed=settings.embedding_weight > 0,
            seed=settings.seed, progress=progress,
        )  # fmt: skip
    with _progress("pre-training") as progress:
        document = pretrain(made, output, config=settings, minutes=minutes, progress=progress)
    _print_document({"output": output, "takes": len(made), **document}, as_json)


@train_app.command("pictures")
def train_pictures(
    data: Annotated[str, typer.Argument(metavar="DIR", help="Folder with oasis and vision_mobilenet_v2.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint.")],
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the cross-validation.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit what reads emotion in pictures."""
    from muse.training.prompts.image import train_image

    _print_document(train_image(data, output, **_given(seed=seed)), as_json)


@train_app.command("prompts")
def train_prompts(
    data: Annotated[str, typer.Argument(metavar="DIR", help="Folder with emobank, glasgow_norms and goemotions.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint.")],
    steps: Annotated[int | None, typer.Option(metavar="N", help="Optimizer steps.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of splits and training.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit what reads emotion in texts."""
    from muse.checkpoint import find
    from muse.training.prompts.text import train

    tokenizer = find("prompts-text") / "tokenizer.json"
    _print_document(train(data, output, tokenizer, **_given(steps=steps, seed=seed)), as_json)


def _config(file: str | None, function: Callable[..., Any], taken: Sequence[str] = ()) -> dict[str, Any]:
    """Keyword arguments from a JSON file, checked against the signature that they are for."""
    if file is None:
        return {}
    try:
        config = json.loads(Path(file).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{file}, line {error.lineno}: not JSON ({error.msg})") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: not a text file") from None
    if not isinstance(config, dict):
        raise InputError(f"{file}: holds a {type(config).__name__}, needs an object of argument names and values")
    legal = [name for name in inspect.signature(function).parameters if name not in taken]
    if unknown := [name for name in config if name not in legal]:
        raise InputError(f"{file}: unknown {', '.join(unknown)}; legal are {', '.join(legal)}")
    return config


# --------------------------------------------------------------------------------------------- evaluate, bench, info


@app.command()
def evaluate(
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the report.")],
    corpora: Annotated[
        str, typer.Option(metavar="DIR", help="Folder with emopia-nc and vgmidi-unclear, which teach the judges.")
    ],
    dataset: Annotated[
        str, typer.Option(metavar="DIR", help="Dataset that the generator learnt from: copies, baseline, reference.")
    ],
    folder: Annotated[
        str | None, typer.Argument(metavar="[DIR]", help="MIDI files to evaluate; Q1..Q4 in a name is what was asked.")
    ] = None,
    composer: Annotated[
        bool, typer.Option("--composer", help="Evaluate pieces that are composed now; the default without DIR.")
    ] = False,
    checkpoint: CheckpointOption = None,
    pieces: Annotated[int | None, typer.Option(metavar="N", help="Pieces per quadrant.")] = None,
    grid: Annotated[int | None, typer.Option(metavar="N", help="Points on each axis of the plane; 0 for none.")] = None,
    checked: Annotated[int | None, typer.Option(metavar="N", help="Further pieces that are checked for form.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate the composer, or a folder of MIDI files, beside people and beside simpler systems."""
    if folder is not None and composer:
        raise InputError("give a folder or --composer, not both")
    from muse.evaluate import evaluate_composer, evaluate_folder

    with _progress("evaluating") as progress:
        if folder is not None:
            from muse.selector import Selector

            report = evaluate_folder(
                folder, corpora, dataset, output, selector=Selector.from_pretrained(), progress=progress
            )
        else:
            from muse.composer import Composer

            subject = Composer.from_pretrained(**_given(name_or_path=checkpoint))
            options = _given(n_pieces=pieces, n_grid=grid, n_checked=checked)
            report = evaluate_composer(subject, corpora, dataset, output, progress=progress, **options)
    _print_document(report, as_json)


@app.command()
def bench(
    checkpoint: CheckpointOption = None,
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="CPU threads of both sides.")] = None,
    repetitions: Annotated[int | None, typer.Option(metavar="N", help="Of every measurement; medians count.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure speed: our sampler beside transformers' generate, attributes, the recogniser, the whole command."""
    from muse.evaluate.speed import run_bench

    with _progress("measuring") as progress:
        result = run_bench(progress=progress, **_given(checkpoint=checkpoint, threads=threads, repetitions=repetitions))
    _print_document(result, as_json)


@app.command()
def info(as_json: JsonOption = False) -> None:
    """Tell versions, device, checkpoints and where tables lie; for bug reports."""
    import torch

    from muse.attributes import ATTRIBUTES
    from muse.checkpoint import DEFAULT_CHECKPOINT, data_path
    from muse.emotion import emotion_words

    checkpoints = data_path("checkpoints")
    document = {
        "muse": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in ("torch", "onnxruntime", "numpy", "symusic", "miditok")},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "checkpoints": sorted(path.parent.name for path in checkpoints.glob("*/config.json")),
        "default_checkpoint": DEFAULT_CHECKPOINT,
        "data": str(checkpoints.parent),
        "attributes": len(ATTRIBUTES),
        "emotion_words": len(emotion_words()),
    }
    _print_document(document, as_json)
