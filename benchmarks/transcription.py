"""How well recordings are transcribed: ``python benchmarks/transcription.py CORPORA`` prints JSON.

40 piano pieces that nothing was fitted or chosen on, half a minute each: 20 clips of EMOPIA's validation songs and 20
songs of POP909 that :func:`muse.training.transcription.is_held_out` keeps back, rendered by every ``--soundfont``.
``--tuning`` takes 24 others, on which thresholds were chosen: 12 of EMOPIA's training songs and 12 songs of POP909.

* note precision, recall and F1 of mir_eval: pitch and onset within 50 ms; and with the offset too, within 50 ms or a
  fifth of the note, where a note ends with the pedal or with the key;
* with ``--original``, the same for Basic Pitch's own decoder, where its package can be imported;
* Pearson's r over pieces between attributes of the MIDI file and of the transcription.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
from numpy.typing import NDArray

from muse.attributes import SONG_CONTROLS, extract
from muse.audio import write_audio
from muse.corpora import find_songs
from muse.files import to_json
from muse.prompts.example.parse import HEARD
from muse.render import find_soundfont, render_audio
from muse.score import Score, note_array, read_score
from muse.statistics import bootstrap
from muse.training.transcription import excerpt, is_held_out
from muse.transcription import Transcriber
from muse.transcription.posteriors import MODEL_FILE, SAMPLE_RATE

Floats = NDArray[np.float64]
EMOPIA, POP909 = "emopia-nc", "pop909"


def pieces(corpora: Path, tuning: bool) -> list[Score]:
    """Half a minute of every piece."""

    def place(name: str) -> str:
        return hashlib.sha256(name.encode()).hexdigest()

    clips = [one for one in find_songs([corpora / EMOPIA]) if one.split == ("train" if tuning else "val")]
    clips.sort(key=lambda one: place(one.song_id))
    seen: Counter[str] = Counter()
    ranked = []
    for i, clip in enumerate(clips):  # a clip of each song before a second one of any
        ranked.append((seen[clip.group], i))
        seen[clip.group] += 1
    clips = [clips[i] for _, i in sorted(ranked)]
    songs = sorted(
        (one for one in find_songs([corpora / POP909]) if is_held_out(one.song_id)), key=lambda one: place(one.song_id)
    )
    n_clips, chosen = (12, songs[:12]) if tuning else (20, songs[12:32])
    return [excerpt(read_score(one.path), 0.0) for one in clips[:n_clips]] + [
        excerpt(read_score(one.path), 30.0) for one in chosen
    ]


def intervals(score: Score, *, pedal: bool) -> tuple[Floats, Floats]:
    """Onsets and offsets [n, 2] in seconds, and hertz [n]; with the pedal, notes sound until it is lifted or they are
    struck again."""
    notes = note_array(score)
    start, stop = notes["onset_sec"], notes["onset_sec"] + notes["duration_sec"]
    if pedal:
        in_seconds: Any = score.to("Second")  # symusic's stubs do not know of units by name
        spans = [
            (index, one.time, one.time + one.duration)
            for index, track in enumerate(in_seconds.tracks)
            for one in track.pedals
        ]
        key_up = stop.copy()
        for track, down, up in spans:
            held = (notes["track"] == track) & (key_up >= down) & (key_up < up)
            stop[held] = np.maximum(stop[held], up)
        for pitch in np.unique(notes["pitch"]):
            rows = np.flatnonzero(notes["pitch"] == pitch)  # in order of onset
            stop[rows[:-1]] = np.minimum(stop[rows[:-1]], start[rows[1:]])
    return np.stack([start, np.maximum(stop, start + 0.01)], axis=1), mir_eval.util.midi_to_hz(notes["pitch"])


def measured(truth: Score, heard: tuple[Floats, Floats]) -> list[float]:
    """Precision, recall, F1 of onsets, F1 with offsets by the pedal, and by the key."""
    figures = mir_eval.transcription.precision_recall_f1_overlap
    by_pedal, by_key = intervals(truth, pedal=True), intervals(truth, pedal=False)
    return [
        *figures(*by_pedal, *heard, offset_ratio=None)[:3],
        figures(*by_pedal, *heard)[2],
        figures(*by_key, *heard)[2],
    ]


def original(samples: NDArray[np.float32], model: Path) -> tuple[Floats, Floats]:
    """Notes by Basic Pitch's package, with its own settings."""
    from basic_pitch.inference import run_inference  # type: ignore[import-not-found]
    from basic_pitch.note_creation import (  # type: ignore[import-not-found]
        model_frames_to_time,
        output_to_notes_polyphonic,
    )

    with tempfile.TemporaryDirectory() as folder:
        write_audio(samples, SAMPLE_RATE, Path(folder) / "sound.wav")
        found = run_inference(Path(folder) / "sound.wav", model)
    events = output_to_notes_polyphonic(found["note"], found["onset"], 0.5, 0.3, 11, True, None, None)
    time = model_frames_to_time(len(found["note"]))
    rows = np.array([(time[first], time[last], pitch) for first, last, pitch, _ in events]).reshape(-1, 3)
    return rows[:, :2], mir_eval.util.midi_to_hz(rows[:, 2])


def summary(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Means over pieces, with the interval of F1."""
    table = np.array(rows)
    low, high = bootstrap(np.arange(len(table)), lambda chosen: float(table[chosen, 2].mean()), n_draws=1000, seed=0)
    names = ("precision", "recall", "f1", "f1_offset_pedal", "f1_offset_key")
    return {
        **dict(zip(names, table.mean(axis=0).round(3).tolist(), strict=True)),
        "f1_interval": [round(low, 3), round(high, 3)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, help="folder with emopia-nc and pop909")
    parser.add_argument("--soundfont", type=Path, action="append", help="repeatable")
    parser.add_argument("--tuning", action="store_true", help="the pieces that thresholds were chosen on")
    parser.add_argument("--original", action="store_true", help="Basic Pitch's own decoder too")
    options = parser.parse_args()
    scores = pieces(options.corpora, options.tuning)
    transcriber = Transcriber.from_pretrained()
    model = Path(__file__).parents[1] / "checkpoints" / "transcriber" / MODEL_FILE
    asked = np.array([extract(score, names=SONG_CONTROLS).values[0] for score in scores])
    document: dict[str, Any] = {"pieces": len(scores)}
    for font in options.soundfont or [find_soundfont()]:
        rows: dict[str, list[list[float]]] = {"muse": [], "basic-pitch": []}
        heard = []
        for score in scores:
            samples = render_audio(score, soundfont=font, sample_rate=SAMPLE_RATE).mean(axis=0)
            found = transcriber.transcribe(samples, SAMPLE_RATE)
            rows["muse"].append(measured(score, intervals(found, pedal=False)))
            heard.append(extract(found, names=SONG_CONTROLS).values[0])
            if options.original:
                rows["basic-pitch"].append(measured(score, original(samples, model)))
        table = np.array(heard)
        r = {}
        for i, name in enumerate(SONG_CONTROLS):
            both = np.isfinite(asked[:, i]) & np.isfinite(table[:, i])
            if table[both, i].std() > 0:
                r[name] = round(float(np.corrcoef(asked[both, i], table[both, i])[0, 1]), 3)
        document[font.name] = {
            **{name: summary(values) for name, values in rows.items() if values},
            "attributes_r": r,
            "mean_r_of_those_taken": round(float(np.mean([r[name] for name in HEARD])), 3),
        }
    print(to_json(document))


if __name__ == "__main__":
    main()
