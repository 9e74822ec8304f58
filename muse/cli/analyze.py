"""``muse analyze`` and ``muse recognize``: what is measured of files, and which emotion they carry."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muse.cli.output import AddressOption, EngineOption, JsonOption, fail_for, print_json, progress_bar
from muse.errors import InputError, MuseError
from muse.tasks.analyze import each_file

if TYPE_CHECKING:
    from muse.engines import Engine

__all__ = ["analyze", "recognize"]


def analyze(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="MIDI files, or sound files.")],
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="F.png",
            help="Draw what adds to the emotion and what takes from it, of sound its curve (PNG or SVG); {file} stands "
            "for the file's name.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report emotion, key, tempo, genre, quality and attributes of MIDI files, and why they sound as they do.

    Of sound files, what `muse recognize` says.

    Reasons are contributions to log-odds: of the recognized quadrant against its neighbor in valence, and against its
    neighbor in arousal. In JSON, score.valence is score.baseline.valence (the middle of the corpus) plus the sum of
    contribution.valence over explanation[], and arousal likewise. heard, genre and quality are the selector's.
    """
    plots = _plots(files, plot)

    from functools import cache

    from muse.audio import AUDIO_SUFFIXES
    from muse.recognizer import Recognizer
    from muse.tasks.analyze import Analyzer

    analyzer, recognizer = Analyzer(), cache(Recognizer.from_pretrained)

    def read(file: str) -> dict[str, Any]:
        if Path(file).suffix.lower() in AUDIO_SUFFIXES:
            return _drawn({"file": file, **recognizer().recognize(file).to_dict()}, plots[file])
        return analyzer.analyze(file, plot=plots[file])

    with progress_bar("analyzing") as progress:
        rows = list(each_file(files, read, progress=progress))
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            if "error" not in row:
                (_print_analysis if "attributes" in row else _print_recognition)(row)
    fail_for(rows)


def _drawn(row: dict[str, Any], plot: Path | None, dynamic: bool = False) -> dict[str, Any]:
    """A document of ``recognize`` with its curve drawn; the curve stays in it where it was asked for."""
    if plot is not None and "curve" in row:
        import numpy as np

        from muse.render import emotion_curves

        points = np.array([list(point.values()) for point in row["curve"]])
        emotion_curves(points[:, 0], points[:, 1:3], points[:, 3:], plot, title=Path(row["file"]).name)
    return {name: value for name, value in row.items() if dynamic or name != "curve"}


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
            help="For folders: add a line a file to this table; files that are in it already are not analyzed again.",
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="F.png", help="Draw the curves (PNG or SVG); {file} stands for the file's name."),
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table: a row per file, or per half second.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Report the emotion of sound: valence, arousal, quadrant, what listeners feel, and the key."""
    if as_csv and as_json:
        raise InputError("--csv and --json exclude each other: choose one")

    from muse.audio import sound_files
    from muse.recognizer import Recognizer
    from muse.tasks import recognize as task

    if table is not None:
        if as_csv or plot or ratings:
            raise InputError("--table writes a table of its own: leave out --csv, --plot and --ratings")
        from muse.engines import InProcess, find_engine

        where = find_engine(engine, local=InProcess(), address=address)
        _recognize_library(files, table, dynamic, where, as_json)
        return
    if engine != "local" or address is not None:
        raise InputError("--engine and --address are for libraries: give folders and --table")
    files = [str(path) for file in files for path in (sound_files(file) if Path(file).is_dir() else [file])]
    plots = _plots(files, plot)
    own, others = task.read_ratings(ratings) if ratings else (None, [])
    if own is not None and len(files) > 1:
        raise InputError(f"{ratings} has ratings without a file: name their files in a column, or give one file")
    recognizer = Recognizer.from_pretrained()
    listener = recognizer.listener(others) if others else None
    documents = task.recognize(
        files, recognizer=recognizer, listener=listener, ratings=own, dynamic=dynamic or plot is not None
    )
    rows = []
    with progress_bar("listening") as progress:
        for row in documents:
            try:
                rows.append(_drawn(row, plots[row["file"]], dynamic))
            except MuseError as error:
                rows.append({"file": row["file"], "error": " ".join(str(error).split())})
            if progress:
                progress(len(rows), len(files))
    if as_json:
        print_json(rows)
    elif as_csv:
        _print_recognition_csv(rows, dynamic)
    else:
        for row in rows:
            if "error" not in row:
                _print_recognition(row)
    fail_for(rows)


def _recognize_library(folders: Sequence[str], table: str, dynamic: bool, engine: Engine, as_json: bool) -> None:
    from muse.tasks.recognize import Library

    library = Library.open(folders, table, dynamic=dynamic)
    errors = []
    with progress_bar("listening") as progress:
        for i, row in enumerate(library.recognize(engine=engine)):
            if "error" in row:
                errors.append(row["error"])
            if progress:
                progress(i + 1, len(library.waiting))
    n_new = len(library.waiting) - len(errors)
    if as_json:
        print_json({"table": table, "new": n_new, "known": library.n_known, "errors": errors})
    else:
        typer.echo(f"{table}: {n_new} new, {library.n_known} known before, {len(errors)} could not be read")
    fail_for([{"error": error} for error in errors])


def _print_recognition(row: Mapping[str, Any]) -> None:
    emotion, (valence_spread, arousal_spread) = row["emotion"], row["emotion"]["spread"]
    doubt = "" if row["music"] >= 0.5 else f"; music only with a probability of {row['music']:.2f}"
    typer.echo(f"{row['file']}: {emotion['quadrant']} (confidence {row['confidence']:.2f}{doubt})")
    typer.echo(
        f"  valence {emotion['valence']:+.2f} ± {valence_spread:.2f}, arousal {emotion['arousal']:+.2f} ± "
        f"{arousal_spread:.2f}, {_key(row)}, {row['duration_s']:.1f} s"
    )
    tags = {name: row["tags"][name] for name in row["named"]} or row["tags"]
    felt = sorted(tags.items(), key=lambda item: -item[1])[:3]
    typer.echo("  felt: " + ", ".join(f"{name.replace('_', ' ')} {value:.0%}" for name, value in felt))
    for point in row.get("curve", ()):
        typer.echo(f"  {point['time_s']:8.2f} s  valence {point['valence']:+.2f}  arousal {point['arousal']:+.2f}")


def _print_recognition_csv(rows: Sequence[Mapping[str, Any]], dynamic: bool) -> None:
    import csv

    writer = csv.writer(sys.stdout)
    usable = [row for row in rows if "error" not in row]
    if dynamic:
        writer.writerow(["file", "time_s", "valence", "arousal", "valence_spread", "arousal_spread"])
        writer.writerows([row["file"], *point.values()] for row in usable for point in row["curve"])
        return
    tags = list(usable[0]["tags"]) if usable else []
    writer.writerow(["file", "valence", "arousal", "quadrant", "music", "confidence", "key", "duration_s", *tags])
    for row in usable:
        emotion = row["emotion"]
        facts = [emotion["valence"], emotion["arousal"], emotion["quadrant"]]
        facts += [row["music"], row["confidence"], row["key"] or ""]
        writer.writerow([row["file"], *facts, row["duration_s"], *row["tags"].values()])


def _plots(files: Sequence[str], plot: str | None) -> dict[str, Path | None]:
    """Where to draw each file, checked before anything is analyzed."""
    if plot is None:
        return dict.fromkeys(files)
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
    return dict(zip(files, paths, strict=True))


def _key(row: Mapping[str, Any]) -> str:
    """Of a piece or of sound, in words."""
    from muse.theory import key_in_words

    return key_in_words(row["key"]) if row["key"] else "no key"


def _print_analysis(row: Mapping[str, Any], n_reasons: int = 6) -> None:
    """The sentence, the facts, and the weightiest attributes."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    minutes, seconds = divmod(round(row["duration_s"]), 60)
    facts = [_key(row), f"{row['tempo']:.0f} bpm", f"{row['bars']} bars", f"{minutes}:{seconds:02d}"]
    console.print(row["file"], soft_wrap=True)
    console.print(row["summary"])
    console.print(f"{', '.join(facts)}, {row['n_notes']} notes")
    console.print(f"verdict: {row['verdict']['text']}", soft_wrap=True)
    if rated := row["heard"]:
        genres = sorted(row["genre"].items(), key=lambda item: -item[1])[:2]
        console.print(
            f"selector: quality {row['quality']:.2f}, genre {', '.join(f'{name} {p:.2f}' for name, p in genres)}, "
            f"valence {rated['valence']:+.2f}, arousal {rated['arousal']:+.2f}"
        )
    table = Table(box=None, pad_edge=False)
    for heading in ("attribute", "value", "typical", "percentile", "valence", "arousal"):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    for reason in row["explanation"][:n_reasons]:
        shown = (reason["value"], reason["corpus_median"])
        table.add_row(
            f"{reason['attribute']} ({reason['unit']})",
            *("-" if value is None else f"{value:.3g}" for value in shown),
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
