"""The selector: how good a piece is, which emotion and which genre it has, from its notes alone.

A small transformer reads the events of a window (:mod:`muse.selector.events`), in numpy on the CPU
(:mod:`muse.selector.encoder`) and in PyTorch elsewhere (:mod:`muse.selector.network`). Whether the bars of a window
follow one another is judged by an expert beside it (:mod:`muse.selector.form`). A long piece is the mean over its
windows, and :meth:`Selector.curve` shows them one by one. The emotion of a piece is predicted from its
notes by plainer learners too (:mod:`muse.selector.experts`), and all that is said of it is one distribution
(:mod:`muse.hearing.answer`).

Contents: :class:`Selector`, :class:`Ratings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from muse.checkpoint import check_tensors, find, load_tensors, under
from muse.emotion import QUADRANTS, Emotion
from muse.emotion.verdict import Reading
from muse.hearing.answer import answer
from muse.score import Score
from muse.selector.config import Config
from muse.selector.encoder import Encoder
from muse.selector.events import Ints, Passage, encode, passages
from muse.selector.experts import AttributeExperts
from muse.selector.form import FormExpert
from muse.tokens import GENRES

__all__ = ["DEFAULT_SELECTOR", "EXPERTS", "FORM", "Ratings", "Selector"]

DEFAULT_SELECTOR = "selector"
EXPERTS = "experts."
"""Prefix of the arrays of the experts on attributes in a checkpoint."""
FORM = "form."
"""Prefix of those of the expert on form."""

Reader = Callable[[Ints, Ints], dict[str, NDArray[np.float64]]]
"""Raw outputs of a window's events and header: :class:`muse.selector.encoder.Encoder`, or the network in PyTorch."""


@dataclass(frozen=True)
class Ratings:
    """What the selector gives one piece."""

    quality: float
    """Probability in 0..1 that the piece is as people wrote it rather than spoilt or sampled."""
    emotion: Emotion
    """Mean valence and arousal."""
    spread: tuple[float, float]
    """Standard deviation of valence and of arousal."""
    quadrants: tuple[float, float, float, float]
    """Probabilities of Q1..Q4."""
    genres: Mapping[str, float] = field(repr=False)
    """Probability of every genre of :data:`muse.tokens.GENRES`."""

    @property
    def genre(self) -> str:
        """The most probable genre."""
        return max(self.genres, key=lambda name: self.genres[name])

    def readings(self) -> list[Reading]:
        """The most probable quadrant, which is that of mean valence and arousal."""
        return [Reading("the selector", QUADRANTS[int(np.argmax(self.quadrants))], max(self.quadrants))]

    def to_json(self) -> dict[str, Any]:
        """Quality, emotion and genre as JSON has them."""
        return {
            "quality": self.quality,
            "emotion": {"valence": self.emotion.valence, "arousal": self.emotion.arousal},
            "spread": {"valence": self.spread[0], "arousal": self.spread[1]},
            "quadrants": {f"Q{i + 1}": p for i, p in enumerate(self.quadrants)},
            "genres": dict(self.genres),
        }


class Selector:
    """Rates pieces. Holds no state of a call, so threads may share it.

    Parameters
    ----------
    config
        Calibration.
    read
        The network: outputs of a window.
    experts
        Predict emotion from attributes; None leaves it to the network.
    form
        Judges how bars follow one another; None leaves quality to the network.

    Examples
    --------
    >>> selector = Selector.from_pretrained()                                              # doctest: +SKIP
    >>> [rating] = selector.rate([muse.read_score("piece.mid")])                           # doctest: +SKIP
    >>> rating.quality, rating.emotion.quadrant, rating.genre                              # doctest: +SKIP
    """

    def __init__(
        self, config: Config, read: Reader, experts: AttributeExperts | None = None, form: FormExpert | None = None
    ) -> None:
        self.config, self.experts, self.form = config, experts, form
        self._read = read

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_SELECTOR, *, device: str = "cpu") -> Selector:
        """Load weights.

        Parameters
        ----------
        name_or_path
            A checkpoint that comes with Muse, or a folder.
        device
            ``"cpu"``, or what PyTorch calls another.

        Raises
        ------
        InputError
            There is no such checkpoint, it is not a selector's, its files do not fit together, or there is no such
            device.
        """
        folder = find(name_or_path, "muse-selector")
        config, tensors = Config.load(folder), load_tensors(folder, "np")
        check_tensors(folder, tensors, config.tensors(), besides=(EXPERTS, FORM, "masked."))
        fitted = under(tensors, EXPERTS)
        experts = AttributeExperts.load(fitted, folder) if fitted else None
        on_form = under(tensors, FORM)
        form = FormExpert.load(on_form, folder) if on_form else None
        read: Reader = Encoder(config, {name: tensors[name] for name in config.tensors()})
        if device.partition(":")[0] != "cpu":
            from muse.generator.engines.torch import device_of
            from muse.selector.network import Network

            read = Network.of(config, tensors).to(device_of(device)).reader()
        return cls(config, read, experts, form)

    def without_experts(self) -> Selector:
        """The network alone in emotion, where it has learnt from fewer clips."""
        return Selector(self.config, self._read, form=self.form)

    def without_form(self) -> Selector:
        """The network alone in quality."""
        return Selector(self.config, self._read, self.experts)

    def rate(self, scores: Sequence[Score]) -> list[Ratings]:
        """Ratings of pieces, each the mean over its windows weighted by their notes.

        Raises
        ------
        InputError
            A score has fewer than four notes.
        """
        by_attributes = [None if self.experts is None else self.experts.predict(score) for score in scores]
        read = self._pieces(scores)
        return [self._ratings(part, weight, by) for (part, weight), by in zip(read, by_attributes, strict=True)]

    def network_logits(self, scores: Sequence[Score]) -> NDArray[np.float64]:
        """What the network alone says of the quadrants, [n, 4]; to calibrate by."""
        return np.stack([weight @ part["quadrant"] for part, weight in self._pieces(scores)])

    def _pieces(self, scores: Sequence[Score]) -> Iterator[tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]]:
        """Outputs of the windows of each piece, and the windows' weights."""
        windows = [passages(score) for score in scores]
        flat = self.outputs([window for piece in windows for window in piece])
        first = 0
        for piece in windows:
            weight = np.array([len(window.notes) for window in piece], float)
            part = {name: values[first : first + len(piece)] for name, values in flat.items()}
            yield part, weight / weight.sum()
            first += len(piece)

    def curve(self, score: Score) -> list[tuple[float, Ratings]]:
        """(second at which a window begins, its ratings) of every window of a piece."""
        windows = passages(score)
        flat = self.outputs(windows)
        one = np.ones(1)
        return [
            (window.start_sec, self._ratings({name: values[i : i + 1] for name, values in flat.items()}, one))
            for i, window in enumerate(windows)
        ]

    def embed(self, scores: Sequence[Score]) -> NDArray[np.float32]:
        """Mean hidden state of each piece, float32 [n, D]: a space to measure distances between sets of music in."""
        windows = [passages(score) for score in scores]
        flat = self.outputs([window for piece in windows for window in piece])["embedding"]
        stops = np.cumsum([len(piece) for piece in windows])
        return np.stack([part.mean(0) for part in np.split(flat, stops[:-1])]).astype(np.float32)

    def outputs(self, windows: Sequence[Passage]) -> dict[str, NDArray[np.float64]]:
        """Raw outputs of windows, see :meth:`Encoder.__call__`, in order, stacked along the first axis.

        The expert on form has its say in the quality.
        """
        found = [self._read(*encode(window)) for window in windows]
        if self.form is not None:
            for out, window in zip(found, windows, strict=True):
                out["quality"] = np.asarray(self.form.quality(float(out["quality"]), window))
        return {name: np.stack([one[name] for one in found]) for name in (found[0] if found else ())}

    def _ratings(
        self,
        out: Mapping[str, NDArray[np.float64]],
        weight: NDArray[np.float64],
        by_attributes: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> Ratings:
        config = self.config
        quality = weight @ (config.quality_scale * out["quality"] + config.quality_shift)
        logits = weight @ out["quadrant"] / config.quadrant_temperature
        if by_attributes is not None:
            logits = logits + config.attribute_weight * by_attributes[0]
        mean, spread = self._rated(out, weight, by_attributes)
        middle = None if by_attributes is None or self.experts is None else self.experts.middle.astype(np.float64)
        mean, spread, quadrants = answer(softmax(logits), mean, spread, middle)
        genres = softmax(weight @ out["genre"] / config.genre_temperature)
        return Ratings(
            quality=float(expit(quality)),
            emotion=Emotion(float(mean[0]), float(mean[1])),
            spread=(float(spread[0]), float(spread[1])),
            quadrants=(float(quadrants[0]), float(quadrants[1]), float(quadrants[2]), float(quadrants[3])),
            genres=dict(zip(GENRES, genres.tolist(), strict=True)),
        )

    def _rated(
        self,
        out: Mapping[str, NDArray[np.float64]],
        weight: NDArray[np.float64],
        by_attributes: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of valence and arousal [2] as learnt from ratings."""
        share = self.config.network_share
        mean = weight @ out["mean"]
        variance = weight @ (np.exp(out["log_variance"]) + out["mean"] ** 2) - mean**2
        spread = self.config.spread_scale * np.sqrt(np.maximum(variance, 1e-6))
        if by_attributes is None or self.experts is None:
            return mean, spread
        # Their errors go together, so the spread of the mean is the mean of the spreads.
        return share * mean + (1 - share) * by_attributes[1], share * spread + (1 - share) * self.experts.spread
