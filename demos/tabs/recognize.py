"""The tab that listens: a recording or a MIDI file in, its emotion out.

Contents: :func:`build`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demos import widgets
from demos.limits import N_WORKERS
from demos.studio import Studio
from muse.errors import InputError, MuseError
from muse.render import emotion_curves, piano_roll
from muse.score import read_score
from muse.tasks.recognize import recognize
from muse.tasks.uploads import take

__all__ = ["build"]

log = logging.getLogger(__name__)


def build(studio: Studio) -> None:
    """Make the tab within the page that is being built."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            file = gr.File(label="A recording or a MIDI file", type="filepath", elem_id="heard-file")
            listen = gr.Button("Recognize", variant="primary", elem_id="recognize")
        with gr.Column(scale=3, min_width=320):
            told = gr.HTML(
                "<p>Give a recording or a MIDI file; the page tells which emotion it carries.</p>", elem_id="recognized"
            )
            drawn = gr.HTML(elem_id="drawn")

    def read(path: str | None) -> tuple[str, str]:
        with studio.pieces.uploads() as folder:
            try:
                return _read(studio, path, folder)
            except MuseError as error:
                return widgets.fault(studio.without_paths(str(error))), ""
            except Exception:
                log.exception("a file could not be recognized")
                return widgets.fault("This failed, and it is our fault; try another file."), ""

    listen.click(
        read, file, [told, drawn], concurrency_id="work", concurrency_limit=N_WORKERS, show_progress="minimal",
        api_visibility="private",
    )  # fmt: skip


def _read(studio: Studio, path: str | None, folder: Path) -> tuple[str, str]:
    if not path:
        raise InputError("there is no file yet: give a recording or a MIDI file")
    upload = take(path, folder, ("midi", "sound"))
    if upload.kind == "midi":
        found = studio.analyzer.analyze(upload.path)
        roll = piano_roll(read_score(upload.path), title="what is in the file")
        return _of_midi(found), widgets.picture(roll, "Piano roll of the file")
    (found,) = recognize([upload.path], recognizer=studio.recognizer(), dynamic=True)
    if "error" in found:
        raise InputError(found["error"])
    return _of_sound(found), _curves(found["curve"])


def _of_midi(found: dict[str, Any]) -> str:
    emotion = found["emotion"]
    return widgets.told([
        ("Heard", widgets.sentence(found["verdict"]["text"])),
        ("Why", found["summary"]),
        ("Emotion", _emotion(emotion)),
        (
            "Music",
            f"{found['key'] or 'no key'}, {found['tempo']:g} BPM, {found['bars']} bars, {found['n_notes']} notes",
        ),
        ("Quadrants", widgets.table(("quadrant", "probability"), emotion["probabilities"].items())),
    ])  # fmt: skip


def _of_sound(found: dict[str, Any]) -> str:
    emotion = found["emotion"]
    tags = sorted(found["tags"].items(), key=lambda row: -row[1])[:8]
    return widgets.told([
        ("Emotion", _emotion(emotion)),
        ("Music", f"{found['key'] or 'no key'}, {found['duration_s']:.0f} s"),
        ("Quadrants", widgets.table(("quadrant", "probability"), emotion["probabilities"].items())),
        ("Tags", widgets.table(("tag", "probability"), tags)),
    ])  # fmt: skip


def _emotion(emotion: dict[str, Any]) -> str:
    return f"valence {emotion['valence']:+.2f}, arousal {emotion['arousal']:+.2f}, {emotion['quadrant']}"


def _curves(curve: list[dict[str, float]]) -> str:
    def columns(*names: str) -> Any:
        return np.array([[row[name] for name in names] for row in curve])

    png = emotion_curves(
        columns("time_s")[:, 0], columns("valence", "arousal"), columns("valence_spread", "arousal_spread")
    )
    return widgets.picture(png, "Valence and arousal over time")
