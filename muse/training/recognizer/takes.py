"""Labelled pieces under conditions of :mod:`muse.training.recognizer.sound_matrix`, and what is heard of them.

Each take is rendered once, and everything that learners and measures need is written to a cache: the sound, its
transcription, and the encoder's features. A run that was interrupted goes on from there.

Conventions
-----------
order
    Takes are made in one that has nothing to do with the music (:func:`by_hash`), kinds of conditions in turn: what is
    there when a run is stopped has all quadrants, songs and conditions in their shares.

Contents: :class:`Take`, :class:`Hearer`, :func:`read_takes`, :func:`by_hash`, :func:`quadrant_labels`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.audio import as_audio
from muse.corpora import Song
from muse.errors import InputError
from muse.recognizer.encoders.encoder import Encoder
from muse.recognizer.features.windows import Features, extract
from muse.recognizer.heads.notes import FEWEST, ONSET
from muse.score import Notes, note_array, read_score
from muse.training.recognizer.parts import cached
from muse.training.recognizer.sound_matrix import SAMPLE_RATE, Condition, Kind, draw, rendered
from muse.transcription import Transcriber

__all__ = ["Hearer", "Take", "by_hash", "quadrant_labels", "read_takes"]


@dataclass(frozen=True)
class Take:
    """What was heard of a piece under a condition."""

    piece: Song
    kind: Kind
    condition: Condition
    notes: Notes
    """The transcription."""
    features: Features
    """Of the sound, by the encoder."""

    @property
    def is_heard(self) -> bool:
        """Whether there are notes to learn from."""
        return len(self.notes) >= FEWEST


class Hearer:
    """Renders and hears pieces, unless a cache has it."""

    def __init__(self, cache: str | Path, encoder: Encoder, soundfonts: Sequence[str | Path] = ()) -> None:
        self.cache, self.encoder, self.soundfonts = Path(cache), encoder, tuple(soundfonts)
        self.transcriber = Transcriber.from_pretrained()

    def __call__(self, piece: Song, kind: Kind, seed: int = 0) -> Take:
        """A take of a piece; `seed` draws the condition.

        Raises
        ------
        InputError
            A soundfont or a player is missing, the piece cannot be read, or a file of the cache is damaged.
        """
        path = self._path(piece, kind, seed)
        if not path.is_file():
            self._write(path, piece, kind, seed)
        try:
            return self._read(path, piece, kind)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise InputError(f"{path} cannot be read ({error}): delete it, and it is made again") from None

    def has(self, piece: Song, kind: Kind, seed: int = 0) -> bool:
        """Whether the cache has a take with all that is heard of it."""
        path = self._path(piece, kind, seed)
        return path.is_file() and self._beside(path).is_file()

    def _path(self, piece: Song, kind: Kind, seed: int) -> Path:
        return self.cache / f"{piece.corpus}-{piece.song_id}-{kind}-{seed}.npz".replace("/", "_")

    def _beside(self, path: Path) -> Path:
        """Of the encoder's features of a take."""
        return path.with_suffix(f".{re.sub(r'[^A-Za-z0-9-]+', '_', self.encoder.name)}.npz")

    def _write(self, path: Path, piece: Song, kind: Kind, seed: int) -> None:
        condition = draw(piece.song_id, kind, seed)
        samples = rendered(read_score(piece.path), condition, seed=seed, soundfonts=self.soundfonts)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
        np.savez(
            temporary,
            notes=note_array(self.transcriber.transcribe(samples, SAMPLE_RATE, onset=ONSET)),
            sound=np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16),
            condition=json.dumps(asdict(condition)),
        )
        temporary.replace(path)

    def _read(self, path: Path, piece: Song, kind: Kind) -> Take:
        with np.load(path, allow_pickle=False) as stored:
            notes, values = stored["notes"], json.loads(str(stored["condition"]))

        def features() -> dict[str, Any]:
            with np.load(path, allow_pickle=False) as stored:
                samples = stored["sound"].astype(np.float32) / 32767
            return vars(extract(as_audio(samples, SAMPLE_RATE, self.encoder.sample_rate), self.encoder))

        condition = Condition(**{**values, "bands_db": tuple(values["bands_db"])})
        return Take(piece, kind, condition, notes, Features(**cached(self._beside(path), features)))


def read_takes(
    pieces: Sequence[Song],
    kinds: Sequence[Kind],
    hear: Hearer,
    *,
    n_renderings: int = 1,
    minutes: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Take]:
    """Takes of pieces under every kind of condition, each drawn so many times.

    Parameters
    ----------
    pieces
        Taken by :func:`by_hash`, so that a run that is stopped has some of everything.
    kinds
        Of conditions.
    hear
        What renders them.
    n_renderings
        Of each piece under each kind.
    minutes
        Nothing is rendered after so long, and what the cache lacks then is left out; None renders everything, 0
        nothing.

    Raises
    ------
    InputError
        A soundfont, a player or a piece is missing.
    """
    wanted = [(piece, kind, seed) for seed in range(n_renderings) for piece in by_hash(pieces) for kind in kinds]
    start, takes = time.monotonic(), []
    for i, one in enumerate(wanted):
        if minutes is None or hear.has(*one) or time.monotonic() - start < 60 * minutes:
            takes.append(hear(*one))
        if progress is not None:
            progress((i + 1) / len(wanted))
    return takes


def by_hash(pieces: Sequence[Song]) -> list[Song]:
    """Pieces in an order that has nothing to do with the music."""
    return sorted(pieces, key=lambda one: hashlib.sha256(one.song_id.encode()).hexdigest())


def quadrant_labels(pieces: Sequence[Song]) -> NDArray[np.int64]:
    """0..3."""
    return np.array([int(piece.quadrant[1]) - 1 for piece in pieces])
