"""The recogniser: the emotion of audio, of the whole and over time.

Conventions
-----------
valence, arousal
    -1..1, as rated by VGMIDI's listeners; ``spread`` is the standard deviation that the networks expect of their error.
tags
    The nine of GEMS: the share of listeners, 0..1, that would say they felt it (Emotify); of a checkpoint that learnt
    MTG-Jamendo, also the probabilities of its moods and themes. ``named`` are those above their thresholds, which were
    chosen on clips that were not learnt from.
quadrants
    Probabilities of Q1..Q4 (EMOPIA; of a checkpoint without it, what valence, arousal and their spreads say).
music
    Probability that it is music: of speech and noise little, 0 where nothing sounds.
confidence
    0..1: how sure of the quadrant, times ``music``.

Contents: :class:`Recognizer`, :class:`Recognition`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from muse.audio import as_audio, stream_audio
from muse.checkpoint import find, load_tensors, under
from muse.emotion import QUADRANTS, Emotion
from muse.errors import InputError
from muse.files import read_json
from muse.recognizer.encoders.encoder import Encoder, open_encoder
from muse.recognizer.ensemble import Answer, Ensemble
from muse.recognizer.features.chords import HarmonyModel
from muse.recognizer.features.signal import STEP_SEC
from muse.recognizer.features.windows import HOP_STEPS, Features, batch, joined, stream_features
from muse.recognizer.heads.calibration import Calibration
from muse.recognizer.heads.network import TAGS, WINDOW_STEPS
from muse.recognizer.heads.personal import Heard, Listener, PersonalModel, curve_on_steps
from muse.theory import Key, Mode

__all__ = ["DEFAULT_RECOGNIZER", "Recognition", "Recognizer"]

Floats = NDArray[np.float32]

DEFAULT_RECOGNIZER: Final = "recognizer"
MODEL_TYPE: Final = "muse-recognizer"
SILENCE: Final = 1e-4
"""Root mean square of samples below which nothing sounds (-80 dB)."""
BLOCK_SEC: Final = 30.0


@dataclass(frozen=True)
class Recognition:
    """What was heard."""

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

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types: ``emotion, tags, named, music, confidence, key, duration_s, curve``."""
        emotion = {**self.emotion.to_dict(), "quadrant": max(self.quadrants, key=lambda name: self.quadrants[name])}
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
    ) -> None:
        self.encoder, self.harmony, self.ensemble = encoder, harmony, ensemble
        self.calibration, self.personal = calibration or Calibration(), personal

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_RECOGNIZER) -> Recognizer:
        """Load a recogniser: the one that comes with Muse, or a folder.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is damaged.
        """
        folder = find(name_or_path)
        config = read_json(folder / "config.json")
        if config.get("model_type") != MODEL_TYPE:
            raise InputError(f"{folder} holds {config.get('model_type')!r}, no {MODEL_TYPE!r}: give a recogniser")
        tensors = load_tensors(folder)
        try:
            ensemble = Ensemble.load(config, tensors)
            calibration = Calibration(**config["calibration"])
            personal = PersonalModel.load(under(tensors, "personal.")) if config.get("personal") else None
        except (KeyError, TypeError, RuntimeError) as error:
            raise InputError(f"{folder}: the weights do not fit ({str(error).splitlines()[-1].strip()})") from None
        harmony = HarmonyModel.load(under(tensors, "harmony."))
        return cls(open_encoder(config["encoder"]), harmony, ensemble, calibration, personal)

    def recognize(
        self,
        source: str | Path | NDArray[Any],
        sample_rate: int | None = None,
        *,
        listener: Listener | None = None,
        ratings: NDArray[Any] | None = None,
    ) -> Recognition:
        """Tell the emotion of a sound file or of samples.

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
        told, steps = self._listen(source, sample_rate, keep=listener is not None or ratings is not None)
        if steps is None:
            return told
        if self.personal is None:
            raise InputError("this checkpoint has not learnt from single listeners: give the one that comes with Muse")
        known = None if ratings is None else _on_steps(ratings, len(steps))
        curve, variance = self.personal.adapted(Heard(steps, told.curve), listener or Listener(()), known)
        moved = np.array([told.emotion.valence, told.emotion.arousal]) + (curve - told.curve).mean(axis=0)
        valence, arousal = np.clip(moved, -1, 1).tolist()
        spread = np.sqrt(variance).astype(np.float32)
        return replace(told, emotion=Emotion(valence, arousal), curve=np.clip(curve, -1, 1), curve_spread=spread)

    def listener(self, rated: Sequence[tuple[str | Path, NDArray[Any]]]) -> Listener:
        """A listener by what they rated: files, each with rows of time in seconds, valence and arousal, [n, 3].

        Raises
        ------
        InputError
            As :meth:`recognize`.
        """
        pieces = []
        for source, ratings in rated:
            told, steps = self._listen(source, None, keep=True)
            assert steps is not None
            pieces.append((Heard(steps, told.curve), _on_steps(ratings, len(steps))))
        return Listener(tuple(pieces))

    def _listen(
        self, source: str | Path | NDArray[Any], sample_rate: int | None, *, keep: bool = False
    ) -> tuple[Recognition, Floats | None]:
        """What is told, and the features of all steps if they are to be kept."""
        rate = self.encoder.sample_rate
        if isinstance(source, (str, Path)):
            blocks: Iterable[Floats] = stream_audio(source, rate, BLOCK_SEC)
        else:
            samples = as_audio(source, sample_rate, rate)
            size = int(BLOCK_SEC * rate)
            blocks = (samples[first : first + size] for first in range(0, len(samples), size))
        power, n_samples = 0.0, 0

        def counted() -> Iterable[Floats]:
            nonlocal power, n_samples
            for block in blocks:
                power += float(np.square(block, dtype=np.float64).sum())
                n_samples += len(block)
                yield block

        told = _Sum()
        waiting: Features | None = None
        first = 0  # step that `waiting` begins with
        kept: list[Floats] = []
        seen: list[Floats] = []
        course = self.ensemble.course
        for part in stream_features(counted(), self.encoder):
            if keep:
                kept.append(part.steps)
            if course is not None:
                seen.append(course.seen(part.steps))
            waiting = part if waiting is None else waiting.join(part)
            while len(waiting.steps) >= WINDOW_STEPS:
                self._tell(waiting.cut(0, WINDOW_STEPS), first, told)
                waiting, first = waiting.cut(HOP_STEPS), first + HOP_STEPS
        assert waiting is not None  # a file without sound is refused when it is read
        if told.n_steps < first + len(waiting.steps):
            self._tell(waiting, first, told)
        loud = (power / max(n_samples, 1)) ** 0.5 > SILENCE
        follow = None if course is None else functools.partial(course, seen=np.concatenate(seen))
        result = told.result(n_samples / rate, loud, self.calibration, follow)
        return result, np.concatenate(kept) if keep else None

    def _tell(self, features: Features, first: int, told: _Sum) -> None:
        """Add what is told of a window that begins with step `first`."""
        window = features.window(self.harmony)
        told.add(first, len(window.steps), self.ensemble.tell(batch([window])), window.harmony.key)


def _on_steps(ratings: NDArray[Any], n_steps: int) -> Floats:
    """Ratings [n, 3] on the steps of a piece, [n_steps, 2]."""
    rows = np.asarray(ratings, np.float32)
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows):
        raise InputError(f"ratings of shape {rows.shape}: give rows of time in seconds, valence and arousal")
    if not np.isfinite(rows).all() or np.abs(rows[:, 1:]).max() > 1 or (np.diff(rows[:, 0]) <= 0).any():
        raise InputError("ratings: times must rise, valence and arousal must lie in -1..1")
    return curve_on_steps(rows, n_steps)


def _quadrants(plane: Floats, variance: Floats) -> Floats:
    """Probabilities of Q1..Q4 of a normal distribution over the plane."""
    high = norm.cdf(plane / np.sqrt(variance))
    (valence, arousal), (no_valence, no_arousal) = high, 1 - high
    return np.array([valence * arousal, no_valence * arousal, no_valence * no_arousal, valence * no_arousal])


class _Sum:
    """Means over windows, by length, and over steps."""

    def __init__(self) -> None:
        self.weight = 0.0
        self.totals: dict[str, Floats] = {}
        self.curves: list[tuple[int, Floats]] = []
        self.keys: dict[tuple[int, Mode], float] = {}
        self.n_steps = 0
        self.music = 0.0

    def add(self, first: int, n: int, answer: Answer, key: Key | None) -> None:
        """A window of `n` steps."""
        values = {**answer.tags, "plane": answer.plane, "variance": answer.variance}
        for name, value in values.items():
            self.totals[name] = n * value[0] + self.totals.get(name, np.zeros(1, np.float32))
        self.weight += n
        self.music += n * float(answer.music[0])
        if key is not None:
            self.keys[key.tonic, key.mode] = self.keys.get((key.tonic, key.mode), 0.0) + n * key.clarity
        self.curves.append((first, np.hstack([answer.curve[0, :n], answer.curve_variance[0, :n]])))
        self.n_steps = max(self.n_steps, first + n)

    def result(
        self,
        duration_sec: float,
        loud: bool,
        calibration: Calibration,
        follow: Callable[[Floats], Floats] | None,
    ) -> Recognition:
        means = {name: total / self.weight for name, total in self.totals.items()}
        plane, variance = means.pop("plane"), means.pop("variance")
        if "quadrants" in means:
            quadrants = calibration.sharpened(means.pop("quadrants"))
        else:
            quadrants = _quadrants(plane, variance)
        tags = {
            tag: float(value) for name, values in means.items() for tag, value in zip(TAGS[name], values, strict=True)
        }
        over_time = joined(self.curves, self.n_steps)
        curve, spread = over_time[:, :2].astype(np.float32), np.sqrt(over_time[:, 2:]).astype(np.float32)
        if follow is not None:
            curve = follow(curve)
        music = self.music / self.weight if loud else 0.0
        key = None
        if self.keys and loud:
            best = max(self.keys, key=lambda name: self.keys[name])
            key = Key(*best, self.keys[best] / self.weight)
        valence, arousal = (float(value) for value in np.clip(plane, -1, 1))
        return Recognition(
            Emotion(valence, arousal),
            (float(variance[0] ** 0.5), float(variance[1] ** 0.5)),
            {name: float(value) for name, value in zip(QUADRANTS, quadrants, strict=True)},
            tags,
            calibration.named(tags) if loud else (),
            music,
            max((float(quadrants.max()) - 0.25) / 0.75, 0.0) * music,
            key,
            duration_sec,
            ((np.arange(self.n_steps) + 0.5) * STEP_SEC).astype(np.float32),
            np.clip(curve, -1, 1),
            spread,
        )
