"""The recogniser: the emotion of audio, of the whole and over time.

Conventions
-----------
valence, arousal
    -1..1, as rated by VGMIDI's listeners; ``spread`` is the standard deviation that the networks expect of their error.
tags
    The nine of GEMS: the share of listeners, 0..1, that would say they felt it (Emotify).
quadrants
    Probabilities of Q1..Q4 (EMOPIA).
confidence
    0..1: how sure of the quadrant; 0 where nothing sounds.

Contents: :class:`Recognizer`, :class:`Recognition`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from muse.audio import as_audio, stream_audio
from muse.checkpoint import find, load_json, load_tensors
from muse.emotion import Emotion
from muse.errors import InputError
from muse.harmony import Key
from muse.recognizer.chords import HarmonyModel
from muse.recognizer.datasets import GEMS, QUADRANTS
from muse.recognizer.encoder import MusicnnEncoder
from muse.recognizer.features import FRAMES, HOP_STEPS, Features, Window, batch, stream_features
from muse.recognizer.network import WINDOW_STEPS, Network, NetworkConfig
from muse.recognizer.signal import SAMPLE_RATE, STEP_SEC

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
        """In JSON's types: ``emotion, tags, confidence, key, duration_s, curve``."""
        emotion = {**self.emotion.to_dict(), "quadrant": max(self.quadrants, key=lambda name: self.quadrants[name])}
        rows = np.round(np.column_stack([self.time_sec, self.curve, self.curve_spread]).astype(float), 4)
        names = ("time_s", "valence", "arousal", "valence_spread", "arousal_spread")
        return {
            "emotion": {**emotion, "probabilities": self.quadrants, "spread": list(self.spread)},
            "tags": self.tags,
            "confidence": self.confidence,
            "key": None if self.key is None else str(self.key),
            "duration_s": self.duration_sec,
            "curve": [dict(zip(names, row, strict=True)) for row in rows.tolist()],
        }


class Recognizer:
    """See the module; made by :meth:`from_pretrained`."""

    def __init__(self, encoder: MusicnnEncoder, harmony: HarmonyModel, networks: Sequence[Network]) -> None:
        self.encoder, self.harmony = encoder, harmony
        self.networks = [network.eval().requires_grad_(False) for network in networks]

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_RECOGNIZER) -> Recognizer:
        """Load a recogniser: the one that comes with Muse, or a folder.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is damaged.
        """
        folder = find(name_or_path)
        config = load_json(folder / "config.json")
        if config.get("model_type") != MODEL_TYPE:
            raise InputError(f"{folder} holds {config.get('model_type')!r}, no {MODEL_TYPE!r}: give a recogniser")
        tensors = load_tensors(folder)
        networks = []
        try:
            for i in range(config["n_networks"]):
                network = Network(NetworkConfig(**config["network"]))
                prefix = f"network{i}."
                network.load_state_dict(
                    {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
                )
                networks.append(network)
        except (KeyError, TypeError, RuntimeError) as error:
            raise InputError(f"{folder}: the weights do not fit ({str(error).splitlines()[-1].strip()})") from None
        harmony = HarmonyModel.load({name: value.numpy() for name, value in tensors.items() if name.startswith("harm")})
        return cls(MusicnnEncoder.from_pretrained(config["encoder"]), harmony, networks)

    def recognize(self, source: str | Path | NDArray[Any], sample_rate: int | None = None) -> Recognition:
        """Tell the emotion of a sound file or of samples.

        A file is worked through in blocks: memory does not grow with its length, but for the curve.

        Parameters
        ----------
        source
            A file that :mod:`muse.audio` reads, or samples [n], [channels, n] or [n, channels].
        sample_rate
            Of samples, hertz.

        Raises
        ------
        InputError
            It cannot be read, is empty or has samples that are not finite.
        """
        if isinstance(source, (str, Path)):
            return self._recognize(stream_audio(source, SAMPLE_RATE, BLOCK_SEC))
        samples = as_audio(source, sample_rate, SAMPLE_RATE)
        size = int(BLOCK_SEC * SAMPLE_RATE)
        return self._recognize(samples[first : first + size] for first in range(0, len(samples), size))

    def _recognize(self, blocks: Iterable[Floats]) -> Recognition:
        power, n_samples = 0.0, 0

        def counted() -> Iterable[Floats]:
            nonlocal power, n_samples
            for block in blocks:
                power += float(np.square(block, dtype=np.float64).sum())
                n_samples += len(block)
                yield block

        told = _Sum()
        kept: Features | None = None
        first = 0  # step that `kept` begins with
        for part in stream_features(counted(), self.encoder):
            if kept is not None:
                part = Features(
                    *(np.concatenate(pair) for pair in ((kept.steps, part.steps), (kept.pitches, part.pitches)))
                )
            kept, first = self._windows(part, first, told)
        assert kept is not None  # a file without sound is refused when it is read
        if len(kept.steps) and told.n_steps < first + len(kept.steps):
            self._tell(kept.windows(self.harmony), first, told)
        loud = (power / max(n_samples, 1)) ** 0.5 > SILENCE
        return told.result(n_samples / SAMPLE_RATE, loud)

    def _windows(self, part: Features, first: int, told: _Sum) -> tuple[Features, int]:
        """Tell the whole windows of a part; what is left is kept for the next."""
        done = 0
        while len(part.steps) - done >= WINDOW_STEPS:
            rows = slice(done * FRAMES, (done + WINDOW_STEPS) * FRAMES)
            window = Window(done, part.steps[done : done + WINDOW_STEPS], self.harmony.hear(part.pitches[rows]))
            self._tell([window], first, told)
            done += HOP_STEPS
        return Features(part.steps[done:], part.pitches[done * FRAMES :]), first + done

    @torch.inference_mode()
    def _tell(self, windows: Sequence[Window], first: int, told: _Sum) -> None:
        x = batch(windows)
        heard = [network(x) for network in self.networks]
        for i, window in enumerate(windows):
            n = len(window.steps)
            planes = np.stack([one.plane[i].numpy() for one in heard])
            curves = np.stack([one.curve[i, :n].numpy() for one in heard])
            noise = np.stack([one.curve_log_variance[i, :n].exp().numpy() for one in heard]).mean(axis=0)
            told.add(
                first + window.first,
                np.stack([one.tags["quadrants"][i].softmax(0).numpy() for one in heard]).mean(axis=0),
                np.stack([one.tags["gems"][i].sigmoid().numpy() for one in heard]).mean(axis=0),
                planes.mean(axis=0),
                np.stack([one.log_variance[i].exp().numpy() for one in heard]).mean(axis=0) + planes.var(axis=0),
                curves.mean(axis=0),
                noise + curves.var(axis=0),
                window.harmony.key,
            )


class _Sum:
    """Means over windows, by length, and over steps."""

    def __init__(self) -> None:
        self.weight = 0.0
        self.totals: list[Floats] = []
        self.curves: dict[int, tuple[Floats, Floats, int]] = {}
        self.keys: dict[tuple[int, str], float] = {}
        self.n_steps = 0

    def add(
        self, first: int, quadrants: Floats, tags: Floats, plane: Floats, variance: Floats,
        curve: Floats, noise: Floats, key: Key | None,
    ) -> None:  # fmt: skip
        n = len(curve)
        values = [quadrants, tags, plane, variance]
        self.totals = [n * value + (self.totals[i] if self.totals else 0) for i, value in enumerate(values)]
        self.weight += n
        if key is not None:
            self.keys[key.tonic, key.mode] = self.keys.get((key.tonic, key.mode), 0.0) + n * key.clarity
        for i in range(n):
            values_then, noise_then, count = self.curves.get(first + i, (np.zeros(2), np.zeros(2), 0))
            self.curves[first + i] = (values_then + curve[i], noise_then + noise[i], count + 1)
        self.n_steps = max(self.n_steps, first + n)

    def result(self, duration_sec: float, loud: bool) -> Recognition:
        quadrants, tags, plane, variance = (total / self.weight for total in self.totals)
        rows = [self.curves[i] for i in range(self.n_steps)]
        curve = np.clip(np.stack([values / n for values, _, n in rows]), -1, 1).astype(np.float32)
        spread = np.sqrt(np.stack([noise / n for _, noise, n in rows])).astype(np.float32)
        key = None
        if self.keys and loud:
            best = max(self.keys, key=lambda name: self.keys[name])
            key = Key(best[0], "minor" if best[1] == "minor" else "major", self.keys[best] / self.weight)
        valence, arousal = (float(value) for value in np.clip(plane, -1, 1))
        return Recognition(
            Emotion(valence, arousal),
            (float(variance[0] ** 0.5), float(variance[1] ** 0.5)),
            {name: float(value) for name, value in zip(QUADRANTS, quadrants, strict=True)},
            {name: float(value) for name, value in zip(GEMS, tags, strict=True)},
            float(max((float(quadrants.max()) - 0.25) / 0.75, 0.0)) if loud else 0.0,
            key,
            duration_sec,
            ((np.arange(self.n_steps) + 0.5) * STEP_SEC).astype(np.float32),
            curve,
            spread,
        )
