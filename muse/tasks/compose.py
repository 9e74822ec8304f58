"""Composing what a request asks for, and writing it in every form that was wanted.

Contents: :func:`compose`, :class:`Outputs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from muse.errors import InputError

if TYPE_CHECKING:
    from muse.composer import Composer, Composition, WrittenBar
    from muse.intent import Intent
    from muse.tasks.request import ComposeRequest

__all__ = ["VIDEO_SUFFIXES", "Outputs", "compose"]

VIDEO_SUFFIXES: Final = (".mp4", ".mkv", ".mov")


def compose(
    request: ComposeRequest,
    composer: Composer,
    *,
    intent: Intent | None = None,
    progress: Callable[[float], None] | None = None,
    on_bar: Callable[[WrittenBar], None] | None = None,
) -> Composition:
    """Compose what a request asks for.

    Parameters
    ----------
    intent
        What :meth:`~muse.tasks.request.ComposeRequest.understood` gave, where it is known already.
    progress
        Called with the share done, 0..1.
    on_bar
        Called with each bar of each candidate as soon as it is written.

    Raises
    ------
    InputError
        The request asks for something that does not exist or cannot be read.
    """
    if intent is None:
        _, intent = request.understood()
    options: dict[str, Any] = {
        "n_candidates": request.candidates, "sampling": request.sampling(), "ranking": request.ranking(),
        "seed": request.seed, "progress": progress, "on_bar": on_bar,
    }  # fmt: skip
    plan = request.lead_sheet()
    return composer.compose(intent, **options) if plan is None else composer.arrange(plan, intent=intent, **options)


@dataclass(frozen=True)
class Outputs:
    """Files of one piece, checked before anything is composed."""

    midi: Path
    sheet: Path | None = None
    plot: Path | None = None
    audio: Path | None = None
    mux: Path | None = None
    """The video of the request with the music as its sound."""
    lead_sheet: Path | None = None
    stems: Path | None = None
    """A folder for the sound of each instrument."""

    @classmethod
    def named(cls, name: str, files: Mapping[str, str | None], *, several: bool) -> Outputs:
        """Output files of a piece, with ``{emotion}`` in their names replaced by *name*; their folders are made.

        Parameters
        ----------
        files
            ``midi`` and, each or not, ``sheet``, ``lead_sheet``, ``plot``, ``audio``, ``mux``, ``stems``.
        several
            Whether the names are for several pieces, so that each needs ``{emotion}``.

        Raises
        ------
        InputError
            A name has an ending that is not legal, is a folder, or would be written by several pieces.
        """
        from muse.audio import CODECS
        from muse.composer.composition import MIDI_SUFFIXES
        from muse.render import PICTURE_SUFFIXES, SHEET_SUFFIXES
        from muse.sheets import PLAN_SUFFIXES

        suffixes = {
            "midi": MIDI_SUFFIXES, "sheet": SHEET_SUFFIXES, "plot": PICTURE_SUFFIXES, "audio": tuple(CODECS),
            "mux": VIDEO_SUFFIXES, "lead_sheet": PLAN_SUFFIXES,
        }  # fmt: skip
        paths = {}
        for kind, text in files.items():
            if text is None:
                continue
            if several and "{emotion}" not in text:
                raise InputError(
                    f"{text}: several pieces need {{emotion}} in the name, for example out/{{emotion}}.mid"
                )
            path = Path(text.replace("{emotion}", re.sub(r"[^\w.+-]+", "-", name).strip("-")))
            if kind == "stems":
                if path.exists() and not path.is_dir():
                    raise InputError(f"{path}: is a file; give a folder for the stems")
                paths[kind] = path
                continue
            if path.suffix.lower() not in suffixes[kind]:
                raise InputError(
                    f"{path}: the name of the {kind.replace('_', ' ')} must end in {' or '.join(suffixes[kind])}"
                )
            if path.is_dir():
                raise InputError(f"{path}: is a folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            paths[kind] = path
        return cls(**paths)

    def write(
        self, piece: Composition, *, title: str, video: str | None = None, soundfont: str | Path | None = None
    ) -> None:
        """Write a piece in every form that is wanted; *video* is what ``mux`` gets the pictures from, *soundfont* what
        :func:`muse.render.find_soundfont` takes."""
        from muse.render import SAMPLE_RATE, render_audio, render_stems, write_sheet

        piece.save(self.midi)
        if self.sheet:
            write_sheet(piece.best.score, self.sheet, title=title, key=piece.brief.key_name)
        if self.lead_sheet:
            piece.save_lead_sheet(self.lead_sheet, title=title)
        if self.plot:
            piece.piano_roll(self.plot, title=title)
        if self.audio or self.mux:
            samples = render_audio(piece.best.score, self.audio, soundfont=soundfont)
            if self.mux and video:
                from muse.audio import mux

                mux(video, samples, SAMPLE_RATE, self.mux)
        if self.stems:
            render_stems(piece.best.score, self.stems, soundfont=soundfont)
