"""The transcriber: notes of recordings of one or many voices, instruments of definite pitch.

Posteriors of notes and onsets (:mod:`muse.transcription.posteriors`), which rises are onsets
(:mod:`muse.transcription.onsets`), and how long notes last (:mod:`muse.transcription.tracking`). Drums are not
transcribed, instruments are not told apart, and there are neither beats nor bars.

Contents: :class:`Transcriber`, :class:`Listening`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.audio import stream_rates
from muse.checkpoint import check_tensors, find, load_tensors
from muse.score import Score, from_notes
from muse.transcription.onsets import N_FEATURES, OnsetNetwork
from muse.transcription.posteriors import SAMPLE_RATE, PosteriorModel, PosteriorStream
from muse.transcription.tracking import BEATS_PER_SEC, ONSET, NoteTracker

__all__ = ["DEFAULT_TRANSCRIBER", "Listening", "Transcriber"]

DEFAULT_TRANSCRIBER: Final = "transcriber"
MODEL_TYPE: Final = "muse-transcriber"
BLOCK_SEC: Final = 10.0
MAX_HIDDEN: Final = 4096


class Transcriber:
    """See the module; made by :meth:`from_pretrained`. One object may be used by several threads."""

    def __init__(self, model: PosteriorModel, network: OnsetNetwork) -> None:
        self.model, self.network = model, network

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_TRANSCRIBER) -> Transcriber:
        """Load a transcriber: the one that comes with Muse, or a folder.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is damaged.
        """
        folder = find(name_or_path, MODEL_TYPE)
        tensors = load_tensors(folder, "np")
        n_hidden = min(len(np.atleast_1d(tensors.get("hidden_bias", 0))), MAX_HIDDEN)
        shapes: dict[str, tuple[int, ...]] = {
            "mean": (N_FEATURES,), "scale": (N_FEATURES,), "hidden_weight": (N_FEATURES, n_hidden),
            "hidden_bias": (n_hidden,), "weight": (n_hidden, 2), "bias": (2,),
        }  # fmt: skip
        check_tensors(folder, tensors, shapes)
        return cls(PosteriorModel.open(folder), OnsetNetwork.load(tensors))

    def transcribe(
        self,
        source: str | Path | NDArray[Any],
        sample_rate: int | None = None,
        *,
        onset: float = ONSET,
        progress: Callable[[float], None] | None = None,
    ) -> Score:
        """The notes of a recording.

        A file is worked through in blocks: memory does not grow with its length, but for the notes.

        Parameters
        ----------
        source
            A file that :mod:`muse.audio` reads, or samples [n], [channels, n] or [n, channels].
        sample_rate
            Of samples, hertz.
        onset
            Probability from which a note is taken to begin, 0..1: with less, fewer notes are missed and more added.
        progress
            Called with the seconds that were heard so far.

        Returns
        -------
        Score
            One piano track at 120 BPM, which is no finding: times are those of the recording. Empty where no note is
            heard.

        Raises
        ------
        InputError
            It cannot be read, is empty or has samples that are not finite.
        """
        listening = self.listen(onset)
        for _, block in stream_rates(source, sample_rate, (SAMPLE_RATE,), BLOCK_SEC):
            listening.push(block)
            if progress is not None:
                progress(listening.heard_sec)
        return listening.finish()

    def listen(self, onset: float = ONSET) -> Listening:
        """Transcribe a recording that another reads; `onset` as in :meth:`transcribe`."""
        return Listening(PosteriorStream(self.model), NoteTracker(self.network, onset))


class Listening:
    """A recording that is being transcribed; made by :meth:`Transcriber.listen`, and of one thread."""

    def __init__(self, posteriors: PosteriorStream, tracker: NoteTracker) -> None:
        self._posteriors, self._tracker = posteriors, tracker

    @property
    def heard_sec(self) -> float:
        """How far the notes are known."""
        return self._tracker.heard_sec

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take in the next samples [n], at :data:`~muse.transcription.posteriors.SAMPLE_RATE`."""
        for posteriors in self._posteriors.push(samples):
            self._tracker.push(posteriors)

    def finish(self) -> Score:
        """What :meth:`Transcriber.transcribe` returns."""
        for posteriors in self._posteriors.finish():
            self._tracker.push(posteriors)
        return from_notes(self._tracker.finish(), tempo_bpm=60 * BEATS_PER_SEC, names=["transcription"])
