"""Fits what the transcriber tells onsets from echoes by, on rendered music whose notes are known.

Data: corpora of MIDI of a permissive licence. Of every piece half a minute is rendered; every other piano piece by
another instrument, every other rendering with noise or a tilt of its spectrum. Of the candidates
(:func:`muse.transcription.onsets.candidates`), that nearest to a note's onset within :data:`ONSET_SEC` is true. Pieces
whose :func:`is_held_out` are never learnt from, so that they can be measured on.

Contents: :func:`train_transcriber`; its steps :func:`excerpt`, :func:`examples`, :func:`fit_onsets`,
:func:`is_held_out`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from muse.checkpoint import check_values, save_tensors
from muse.corpora import find_songs
from muse.errors import InputError
from muse.files import write_json, write_text
from muse.render import find_soundfont, render_audio
from muse.score import DRUMS, Notes, Score, note_array, read_score
from muse.transcription.onsets import (
    CONTEXT,
    N_FEATURES,
    VELOCITY_SCALE,
    OnsetNetwork,
    candidates,
)
from muse.transcription.posteriors import (
    HOP,
    LOWEST_PITCH,
    MODEL_FILE,
    N_PITCHES,
    SAMPLE_RATE,
    PosteriorModel,
    Posteriors,
)
from muse.transcription.transcriber import MODEL_TYPE

__all__ = ["Examples", "examples", "excerpt", "fit_onsets", "is_held_out", "train_transcriber"]

Floats = NDArray[np.float32]

EXCERPT_SEC: Final = 30.0
ONSET_SEC: Final = 0.05
"""What mir_eval lets an onset be off."""
HIDDEN: Final = 64
EPOCHS, BATCH, RATE, DECAY = 30, 1024, 3e-3, 1e-3
VELOCITY_WEIGHT: Final = 0.1
"""Of the squared error of velocities beside the cross-entropy of onsets."""
OTHER_PROGRAMS: Final = (4, 6, 11, 16, 19, 24, 25, 26, 46, 48, 52, 56, 61, 65, 71, 73, 80, 88)
"""Electric piano, harpsichord, organs, guitars, harp, strings, choir, brass, reeds, flute, synthesizers."""


@dataclass(frozen=True)
class Examples:
    """Candidates with what is true of them."""

    features: Floats
    """[n, N_FEATURES]."""
    is_onset: NDArray[np.bool_]
    velocity: Floats
    """[n], relative to the piece's mean; only of onsets."""


def is_held_out(name: str) -> bool:
    """Whether a piece is kept for measuring, by a hash of its name: one in sixteen."""
    return hashlib.sha256(name.encode()).digest()[0] < 16


def excerpt(score: Score, start_sec: float, length_sec: float = EXCERPT_SEC) -> Score:
    """A stretch of a score in seconds, from its own second 0 on."""
    whole: Any = score.to("second")
    return whole.clip(start_sec, start_sec + length_sec, clip_end=True).shift_time(-start_sec).to("tick")


def examples(samples: Floats, notes: Notes, model: PosteriorModel) -> Examples:
    """Candidates of a recording [n] at :data:`~muse.transcription.posteriors.SAMPLE_RATE`, by the notes in it."""
    parts = list(model.stream([samples]))
    edge = np.zeros((CONTEXT, N_PITCHES), np.float32)
    found = candidates(Posteriors(*(np.concatenate([edge, *values, edge]) for values in zip(*parts, strict=True))))
    time = found.frame * HOP / SAMPLE_RATE
    is_onset, velocity = np.zeros(len(time), bool), np.zeros(len(time), np.float32)
    notes = notes[notes["program"] != DRUMS]
    relative = (notes["velocity"] - notes["velocity"].mean()) / VELOCITY_SCALE if len(notes) else np.zeros(0)
    for note, loud in zip(notes, relative, strict=True):
        near = np.flatnonzero(
            (found.pitch == note["pitch"] - LOWEST_PITCH) & (np.abs(time - note["onset_sec"]) <= ONSET_SEC)
        )
        if len(near):
            nearest = near[np.abs(time[near] - note["onset_sec"]).argmin()]
            is_onset[nearest], velocity[nearest] = True, loud
    return Examples(found.features, is_onset, velocity)


def fit_onsets(learnt: Sequence[Examples], *, seed: int = 0) -> OnsetNetwork:
    """Fit the network; the same examples and seed give the same weights."""
    features = np.concatenate([one.features for one in learnt])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    x = torch.from_numpy((features - mean) / scale)
    y = torch.from_numpy(np.concatenate([one.is_onset for one in learnt]).astype(np.float32))
    velocity = torch.from_numpy(np.concatenate([one.velocity for one in learnt]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden, out = torch.nn.Linear(N_FEATURES, HIDDEN), torch.nn.Linear(HIDDEN, 2)
        optimizer = torch.optim.AdamW([*hidden.parameters(), *out.parameters()], lr=RATE, weight_decay=DECAY)
        n_steps = EPOCHS * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        for _ in range(EPOCHS):
            order = torch.randperm(len(x))
            for first in range(0, len(x), BATCH):
                rows = order[first : first + BATCH]
                onset, loud = out(torch.relu(hidden(x[rows]))).T
                loss = torch.nn.functional.binary_cross_entropy_with_logits(onset, y[rows])
                loss = loss + VELOCITY_WEIGHT * (y[rows] * (loud - velocity[rows]) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    layers = [values.detach().numpy() for layer in (hidden, out) for values in (layer.weight.T, layer.bias)]
    return OnsetNetwork(mean, scale, *(np.ascontiguousarray(values) for values in layers))


def train_transcriber(
    sources: Sequence[str | Path],
    model: str | Path,
    out: str | Path,
    *,
    n_pieces: int = 50,
    soundfonts: Sequence[str | Path] = (),
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Fit on corpora and write the checkpoint.

    Parameters
    ----------
    sources
        Folders of MIDI; of each corpus so many permissively licensed pieces are drawn.
    model
        Basic Pitch's network as ONNX (``nmp.onnx`` of the package ``basic-pitch`` 0.4.0).
    out
        Folder of the checkpoint, made if need be.
    n_pieces
        Of each corpus.
    soundfonts
        SF2 files, taken in turn; what :func:`muse.render.find_soundfont` finds when empty.
    seed
        Of choices and weights.

    Returns
    -------
    dict
        ``pieces``, ``candidates``, ``onsets``, as in ``config.json``.

    Raises
    ------
    InputError
        There is no such model, or no piece with notes to learn from.
    """
    model, out = Path(model), Path(out)
    if not model.is_file():
        raise InputError(f"{model}: no such file: give nmp.onnx of the package basic-pitch")
    random = np.random.default_rng(seed)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, out / MODEL_FILE)
    config: dict[str, Any] = {"model_type": MODEL_TYPE, "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    write_json(config, out / "config.json")
    network = PosteriorModel.open(out)
    pieces = _drawn(sources, n_pieces)
    learnt: list[Examples] = []
    for i, path in enumerate(pieces):
        made = _rendered(path, i, soundfonts, random)
        if made is not None:
            learnt.append(examples(*made, network))
        if progress is not None:
            progress((i + 1) / len(pieces))
    if not any(one.is_onset.any() for one in learnt):
        raise InputError(
            f"{', '.join(map(str, sources))}: no notes to learn from: give corpora of a permissive licence"
        )
    fitted = fit_onsets(learnt, seed=seed)
    tensors = {name: np.asarray(getattr(fitted, name)) for name in fitted.__dataclass_fields__}
    check_values(out, tensors)
    save_tensors(tensors, out)
    facts = {
        "pieces": len(learnt), "candidates": sum(len(one.is_onset) for one in learnt),
        "onsets": sum(int(one.is_onset.sum()) for one in learnt),
    }  # fmt: skip
    write_json({**config, "fitted_on": facts}, out / "config.json")
    corpora = sorted({path.parents[1].name for path in pieces})
    fonts = [Path(font).name for font in soundfonts] or [find_soundfont().name]
    write_text(out / "README.md", _card(facts, corpora, fonts, config["sha256"]))
    return facts


def _drawn(sources: Sequence[str | Path], n_pieces: int) -> list[Path]:
    """Pieces to learn from, of each corpus the first by a hash of their names."""
    corpora: dict[str, list[tuple[str, Path]]] = {}
    for song in find_songs(sources):
        if song.licence_class == "permissive" and not is_held_out(song.path.stem):
            place = hashlib.sha256(song.path.stem.encode()).hexdigest()
            corpora.setdefault(song.corpus, []).append((place, song.path))
    return [path for songs in corpora.values() for _, path in sorted(songs)[:n_pieces]]


def _rendered(
    path: Path, i: int, soundfonts: Sequence[str | Path], random: np.random.Generator
) -> tuple[Floats, Notes] | None:
    """Half a minute from the middle of a piece and its notes; None where there are hardly any."""
    score = read_score(path)
    whole = note_array(score)
    if not len(whole):
        return None
    last = float((whole["onset_sec"] + whole["duration_sec"]).max())
    score = excerpt(score, max(last - EXCERPT_SEC, 0.0) / 2)
    if len({track.program for track in score.tracks}) == 1 and random.random() < 0.5:
        for track in score.tracks:
            track.program = int(random.choice(OTHER_PROGRAMS))
    notes = note_array(score)
    if len(notes) < 10:
        return None
    font = soundfonts[i % len(soundfonts)] if soundfonts else None
    samples = render_audio(score, sample_rate=SAMPLE_RATE, soundfont=font).mean(axis=0)
    return _worn(samples, random) if random.random() < 0.5 else samples, notes


def _worn(samples: Floats, random: np.random.Generator) -> Floats:
    """With noise 25 to 60 dB below the music, and a spectrum tilted by up to 4 dB an octave around 1 kHz."""
    spectrum = np.fft.rfft(samples)
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), 30.0) / 1000)
    tilted = np.fft.irfft(spectrum * 10 ** (random.uniform(-4, 4) * octave / 20), len(samples))
    noise = random.standard_normal(len(samples)) * tilted.std() * 10 ** (-random.uniform(25, 60) / 20)
    made = tilted + noise
    return (made / max(np.abs(made).max(), 1e-9)).astype(np.float32)


def _card(facts: dict[str, Any], corpora: Sequence[str], fonts: Sequence[str], digest: str) -> str:
    return f"""---
license: apache-2.0
tags: [music, audio, transcription]
---

# Muse transcriber

Notes of recordings: `muse transcribe` and `muse.transcription` use it; `muse train transcriber` made it. Figures are in
`docs/recognizer.md`.

`{MODEL_FILE}`: the network of Basic Pitch (Bittner, Bosch, Rubinstein, Meseguer-Brocal & Ewert 2022, "A lightweight
instrument-agnostic model for polyphonic note transcription and multipitch estimation", ICASSP), the file `nmp.onnx` of
the package basic-pitch 0.4.0, unchanged. Copyright 2022 Spotify AB, Apache License 2.0. SHA-256 `{digest}`.

`model.safetensors`: a network of {N_FEATURES} inputs and {HIDDEN} hidden units that tells onsets from echoes and gives
velocities. Fitted on {facts["candidates"]:,} peaks of the onset posterior ({facts["onsets"]:,} of them onsets) in half
a minute of each of {facts["pieces"]} pieces of {", ".join(corpora)}.
Rendered with {", ".join(fonts)}; half of the pieces for one instrument by another, half of all with noise or a tilted
spectrum. Only pieces of a permissive licence; one in sixteen was kept for measuring.

Known failures: drums and speech are heard as notes where they have pitch; soft notes under loud ones are missed, above
all their octaves and twelfths; velocities are relative to the piece's mean; instruments are not told apart.
"""
