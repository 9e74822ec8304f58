"""The recogniser: the emotion of audio, of the whole and over time. One object may be used by several threads.

Conventions
-----------
valence, arousal
    -1..1, as rated by VGMIDI's listeners; ``spread`` is the standard deviation of their error.
tags
    The nine of GEMS: the share of listeners, 0..1, that would say they felt it (Emotify); of a checkpoint trained on
    MTG-Jamendo, also the probabilities of its moods and themes. ``named`` are those above their thresholds, which were
    chosen on held-out clips.
quadrants
    Probabilities of Q1..Q4. Quadrant, valence and arousal come out of one distribution (:mod:`muse.hearing.answer`), so
    that none contradicts another.
notes
    A checkpoint with an expert on notes has the recording transcribed and believes notes and sound as far as it learnt
    to (:mod:`muse.recognizer.heads.fusion`); without one, the networks and teachers on the sound alone are asked.
music
    Probability that it is music: of speech and noise little, 0 where nothing sounds.
confidence
    0..1: how sure of the quadrant, times ``music``; it falls with the distance of the sound from all that the expert
    on sound learnt from.

Contents: :class:`Recognizer`, :class:`Recognition`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.audio import stream_rates
from muse.checkpoint import Settings, check_values, find, load_tensors, under
from muse.emotion import QUADRANTS, Emotion
from muse.errors import InputError
from muse.hearing.answer import answer, quadrant_masses
from muse.recognizer.encoders.encoder import Encoder
from muse.recognizer.encoders.load import open_encoder
from muse.recognizer.ensemble import Ensemble, Prediction
from muse.recognizer.features.chords import HarmonyModel
from muse.recognizer.features.signal import STEP_SEC
from muse.recognizer.features.windows import HOP_STEPS, Features, batch, overlap_add, stream_features
from muse.recognizer.heads.calibration import Calibration
from muse.recognizer.heads.fusion import Fusion, Told
from muse.recognizer.heads.gate import MusicGate
from muse.recognizer.heads.network import TAGS, WINDOW_STEPS
from muse.recognizer.heads.notes import ONSET
from muse.recognizer.heads.personal import Listener, PersonalModel, RecognizedPiece, curve_on_steps
from muse.recognizer.heads.teachers import statistics
from muse.score import Score
from muse.theory import Key, Mode
from muse.transcription import Transcriber
from muse.transcription.posteriors import SAMPLE_RATE

__all__ = ["DEFAULT_RECOGNIZER", "Recognition", "Recognizer"]

Floats = NDArray[np.float32]
Answer = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Valence and arousal, their standard deviations, probabilities of Q1..Q4: [2], [2], [4]."""

DEFAULT_RECOGNIZER: Final = "recognizer"
MODEL_TYPE: Final = "muse-recognizer"
SILENCE: Final = 1e-4
"""Root mean square of samples below which nothing sounds (-80 dB)."""
BLOCK_SEC: Final = 30.0


@dataclass(frozen=True)
class Recognition:
    """The emotion of a piece of sound."""

    emotion: Emotion
    spread: tuple[float, float]
    quadrants: dict[str, float]
    tags: dict[str, float]
    named: tuple[str, ...]
    music: float
    confidence: float
    key: Key | None
    duration_sec: float
    time_sec: Floats
    """Middle of every step, [T]."""
    curve: Floats
    """Valence and arousal of every step, [T, 2]."""
    curve_spread: Floats
    """Standard deviations, [T, 2]."""

    @property
    def quadrant(self) -> str:
        """The most probable quadrant."""
        return max(self.quadrants, key=lambda name: self.quadrants[name])

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types: ``emotion, tags, named, music, confidence, key, duration_s, curve``."""
        emotion = {**self.emotion.to_dict(), "quadrant": self.quadrant}
        rows = np.round(np.column_stack([self.time_sec, self.curve, self.curve_spread]).astype(float), 4)
        names = ("time_s", "valence", "arousal", "valence_spread", "arousal_spread")
        return {
            "emotion": {**emotion, "probabilities": self.quadrants, "spread": list(self.spread)},
            "tags": self.tags,
            "named": list(self.named),
            "music": self.music,
            "confidence": self.confidence,
            "key": None if self.key is None else str(self.key),
            "duration_s": self.duration_sec,
            "curve": [dict(zip(names, row, strict=True)) for row in rows.tolist()],
        }


class Recognizer:
    """See the module; made by :meth:`from_pretrained`."""

    def __init__(
        self,
        encoder: Encoder,
        harmony: HarmonyModel,
        ensemble: Ensemble,
        calibration: Calibration | None = None,
        personal: PersonalModel | None = None,
        fusion: Fusion | None = None,
        gate: MusicGate | None = None,
    ) -> None:
        self.encoder, self.harmony, self.ensemble = encoder, harmony, ensemble
        self.calibration, self.personal, self.gate = calibration or Calibration(), personal, gate
        self.fusion, self.transcriber = fusion, None if fusion is None else Transcriber.from_pretrained()

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_RECOGNIZER) -> Recognizer:
        """Load a recogniser: the one that comes with Muse, or a folder.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is damaged.
        """
        folder = find(name_or_path, MODEL_TYPE)
        settings = Settings.read(folder / "config.json")
        settings.expect("model_type", MODEL_TYPE)
        tensors = load_tensors(folder)
        check_values(folder, tensors)
        encoder = open_encoder(str(settings.values.get("encoder")))
        gate = MusicGate.read(folder, encoder.name)
        try:
            harmony = HarmonyModel.load(under(tensors, "harmony."))
            personal = PersonalModel.load(under(tensors, "personal.")) if settings.flag("personal") else None
            calibration = Calibration(**settings.part("calibration").values)
            fusion = Fusion.load(under(tensors, "fusion.")) if settings.flag("fusion") else None
            loaded = cls(encoder, harmony, Ensemble.load(settings, tensors), calibration, personal, fusion, gate)
            # Parts that do not fit each other fail on any sound: a second of silence is recognized.
            try:
                tried = loaded.recognize(np.zeros(encoder.sample_rate, np.float32), encoder.sample_rate)
            except InputError as error:  # of what came out, for the silence is sound
                raise ValueError(error) from None
            if not np.isfinite(tried.curve).all():
                raise ValueError("values are not finite")
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{folder}: the weights do not fit ({type(error).__name__}: {reason})") from None
        return loaded

    def recognize(
        self,
        source: str | Path | NDArray[Any],
        sample_rate: int | None = None,
        *,
        listener: Listener | None = None,
        ratings: NDArray[Any] | None = None,
    ) -> Recognition:
        """The emotion of a sound file or of samples.

        A file is worked through in blocks: memory does not grow with its length, but for the curve.

        Parameters
        ----------
        source
            A file that :mod:`muse.audio` reads, or samples [n], [channels, n] or [n, channels].
        sample_rate
            Of samples, hertz.
        listener
            Whose ratings of other pieces (:meth:`listener`) the answer is adapted to.
        ratings
            What the listener said of this piece, most likely of its beginning: rows of time in seconds, valence and
            arousal, [n, 3].

        Raises
        ------
        InputError
            It cannot be read, is empty or has samples that are not finite; ratings are out of range, or the checkpoint
            has not learnt from single listeners.
        """
        found, steps = self._recognize(source, sample_rate, with_steps=listener is not None or ratings is not None)
        if steps is None:
            return found
        if self.personal is None:
            raise InputError("this checkpoint has not learnt from single listeners: give the one that comes with Muse")
        known = None if ratings is None else _on_steps(ratings, len(steps))
        piece = RecognizedPiece(steps, found.curve)
        curve, variance = self.personal.adapt(piece, listener or Listener(()), known)
        moved = np.array([found.emotion.valence, found.emotion.arousal]) + (curve - found.curve).mean(axis=0)
        valence, arousal = np.clip(moved, -1, 1).tolist()
        masses = quadrant_masses(np.array([valence, arousal]) / np.array(found.spread))
        return replace(
            found,
            emotion=Emotion(valence, arousal),
            quadrants=dict(zip(QUADRANTS, masses.tolist(), strict=True)),
            curve=np.clip(curve, -1, 1),
            curve_spread=np.sqrt(variance).astype(np.float32),
        )

    def listener(self, rated: Sequence[tuple[str | Path, NDArray[Any]]]) -> Listener:
        """A listener by what they rated: files, each with rows of time in seconds, valence and arousal, [n, 3].

        Raises
        ------
        InputError
            As :meth:`recognize`.
        """
        pieces = []
        for source, ratings in rated:
            found, steps = self._recognize(source, None, with_steps=True)
            assert steps is not None
            pieces.append((RecognizedPiece(steps, found.curve), _on_steps(ratings, len(steps))))
        return Listener(tuple(pieces))

    def _recognize(
        self, source: str | Path | NDArray[Any], sample_rate: int | None, *, with_steps: bool = False
    ) -> tuple[Recognition, Floats | None]:
        """The recognition, and the features of all steps [T, F] if asked for. All state of a call lives in it."""
        rate = self.encoder.sample_rate
        listening = None if self.transcriber is None else self.transcriber.listen(ONSET)
        rates = (rate,) if listening is None else (rate, SAMPLE_RATE)
        power, n_samples = 0.0, 0

        def counted() -> Iterable[Floats]:
            nonlocal power, n_samples
            for which, block in stream_rates(source, sample_rate, rates, BLOCK_SEC):
                if which == 1 and listening is not None:
                    listening.push(block)
                    continue
                power += float(np.square(block, dtype=np.float64).sum())
                n_samples += len(block)
                yield block

        totals = _Totals()
        waiting: Features | None = None
        first = 0  # step that `waiting` begins with
        steps: list[Floats] = []
        projected: list[Floats] = []
        course = self.ensemble.course
        for part in stream_features(counted(), self.encoder):
            if with_steps:
                steps.append(part.steps)
            if course is not None:
                projected.append(course.project(part.steps))
            waiting = part if waiting is None else waiting.join(part)
            while len(waiting.steps) >= WINDOW_STEPS:
                self._add_window(totals, waiting.cut(0, WINDOW_STEPS), first)
                waiting, first = waiting.cut(HOP_STEPS), first + HOP_STEPS
        assert waiting is not None  # a file without sound is refused when it is read
        if totals.n_steps < first + len(waiting.steps):
            self._add_window(totals, waiting, first)
        loud = (power / max(n_samples, 1)) ** 0.5 > SILENCE
        follow = None if course is None else functools.partial(course, projected=np.concatenate(projected))
        heard = None if listening is None else listening.finish()
        result = totals.result(n_samples / rate, loud, self._emotion(totals, heard), self.calibration, follow)
        return result, np.concatenate(steps) if with_steps else None

    def _emotion(self, totals: _Totals, heard: Score | None) -> Answer:
        """Of the whole, from notes and sound where notes are heard."""
        if heard is not None and self.fusion is not None:
            told = Told(totals.mean("told quadrants"), totals.mean("told plane"), totals.mean("novelty").item())
            found = self.fusion(heard, told)
            if found is not None:
                return found
        plane, spread = totals.mean("plane"), np.sqrt(totals.mean("variance"))
        if "quadrants" in totals.totals:
            quadrants = self.calibration.sharpened(totals.mean("quadrants").astype(np.float32)).astype(np.float64)
        else:
            quadrants = quadrant_masses(plane / spread)
        return answer(quadrants, plane, spread)

    def _add_window(self, totals: _Totals, features: Features, first: int) -> None:
        """Add what is predicted for a window that begins with step `first`."""
        window = features.window(self.harmony)
        music = 1.0
        if self.gate is not None:
            music = self.gate.hear(features.steps[:, : self.encoder.width], features.pitches)
        windows = batch([window])
        told: dict[str, NDArray[Any]] = {}
        if self.fusion is not None:
            names = ("told quadrants", "told plane", "novelty")
            told = dict(zip(names, self.fusion.sound(statistics(windows)), strict=True))
        totals.add(first, len(window.steps), self.ensemble.predict(windows), music, told, window.harmony.key)


def _on_steps(ratings: NDArray[Any], n_steps: int) -> Floats:
    """Ratings [n, 3] on the steps of a piece, [n_steps, 2]."""
    rows = np.asarray(ratings, np.float32)
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows):
        raise InputError(f"ratings of shape {rows.shape}: give rows of time in seconds, valence and arousal")
    if not np.isfinite(rows).all() or np.abs(rows[:, 1:]).max() > 1 or (np.diff(rows[:, 0]) <= 0).any():
        raise InputError("ratings: times must rise, valence and arousal must lie in -1..1")
    return curve_on_steps(rows, n_steps)


class _Totals:
    """Means over windows, by length, and over steps."""

    def __init__(self) -> None:
        self.weight = 0.0
        self.totals: dict[str, Floats] = {}
        self.curves: list[tuple[int, Floats]] = []
        self.keys: dict[tuple[int, Mode], float] = {}
        self.n_steps = 0
        self.music = 0.0

    def add(
        self,
        first: int,
        n: int,
        prediction: Prediction,
        music: float,
        told: Mapping[str, NDArray[Any]],
        key: Key | None,
    ) -> None:
        """A window of `n` steps, the probability that it is music, and what the expert on sound tells of it."""
        values = {**prediction.tags, **told, **{name: getattr(prediction, name) for name in ("plane", "variance")}}
        for name, value in values.items():
            self.totals[name] = n * value[0] + self.totals.get(name, np.zeros(1, np.float32))
        self.weight += n
        self.music += n * music
        if key is not None:
            self.keys[key.tonic, key.mode] = self.keys.get((key.tonic, key.mode), 0.0) + n * key.clarity
        self.curves.append((first, np.hstack([prediction.curve[0, :n], prediction.curve_variance[0, :n]])))
        self.n_steps = max(self.n_steps, first + n)

    def mean(self, name: str) -> NDArray[np.float64]:
        """Of what was predicted for the windows."""
        return np.asarray(self.totals[name] / self.weight, np.float64)

    def result(
        self,
        duration_sec: float,
        loud: bool,
        emotion: Answer,
        calibration: Calibration,
        follow: Callable[[Floats], Floats] | None,
    ) -> Recognition:
        """The recognition of all windows so far, with the `emotion` of the whole; `follow` refines the networks'
        curve."""
        point, spread, quadrants = emotion
        tags = {
            tag: float(value)
            for name in TAGS
            if name in self.totals and name != "quadrants"
            for tag, value in zip(TAGS[name], self.mean(name), strict=True)
        }
        over_time = overlap_add(self.curves, self.n_steps)
        curve = over_time[:, :2].astype(np.float32)
        if follow is not None:
            curve = follow(curve)
        curve = curve + np.asarray(point - self.mean("plane"), np.float32)  # as the whole, with the sound's course
        music = self.music / self.weight if loud else 0.0
        key = None
        if self.keys and loud:
            best = max(self.keys, key=lambda name: self.keys[name])
            key = Key(*best, self.keys[best] / self.weight)
        return Recognition(
            Emotion(float(point[0]), float(point[1])),
            (float(spread[0]), float(spread[1])),
            {name: float(value) for name, value in zip(QUADRANTS, quadrants, strict=True)},
            tags,
            calibration.named(tags) if loud else (),
            music,
            max((float(quadrants.max()) - 0.25) / 0.75, 0.0) * music,
            key,
            duration_sec,
            ((np.arange(self.n_steps) + 0.5) * STEP_SEC).astype(np.float32),
            np.clip(curve, -1, 1),
            np.sqrt(over_time[:, 2:]).astype(np.float32),
        )
