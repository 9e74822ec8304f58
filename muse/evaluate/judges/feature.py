"""The feature judge: trees on tonality, lines, texture, rhythm and loudness of a clip.

Contents: :func:`describe`, :func:`feature_group`, :class:`FeatureJudge`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.evaluate.judges.judge import Floats, Judge, Notes
from muse.evaluate.judges.lines import (
    CHORDS,
    COLLECTIONS,
    MAJOR_KEYS,
    MINOR_KEYS,
    TEMPLATE_FAMILY,
    TEMPLATE_ROOT,
    Lines,
    standardise,
)
from muse.evaluate.judges.variants import vary

__all__ = ["FeatureJudge", "describe", "feature_group"]

_Put: TypeAlias = Callable[[str, ArrayLike], None]

_GROUPS = {
    "tonality": (
        "major_key", "minor_key", "mode", "degree", "bass_degree", "melody_degree", "collection", "pitch_class",
        "fourier", "frame", "interval_class", "chord", "local",
    ),
    "rhythm": (
        "notes_per", "attacks_per", "ioi", "melody_ioi", "bass_ioi", "duration", "articulation", "busy", "longest",
        "pulse",
    ),
    "loudness": ("velocity", "energy"),
}  # fmt: skip


def describe(notes: Notes) -> dict[str, float]:
    """Features of a clip, none of which depends on bars, key signature or how long the clip is.

    Parameters
    ----------
    notes
        ``note_array`` with at least one pitched note.

    Returns
    -------
    dict
        Name -> value, always the same names in the same order.
    """
    x = Lines(notes)
    out: dict[str, float] = {}

    def put(name: str, values: ArrayLike) -> None:
        array = np.asarray(values, dtype=float)
        if array.ndim == 0:
            out[name] = float(array)
        else:
            out.update({f"{name}_{i}": float(v) for i, v in enumerate(array)})

    _tonality(x, put)
    _lines_and_texture(x, put)
    _rhythm(x, put)
    _loudness(x, put)
    return out


def feature_group(name: str) -> str:
    """What a feature of :func:`describe` is about: ``tonality``, ``rhythm``, ``loudness`` or ``lines``."""
    for group, starts in _GROUPS.items():
        if name.startswith(starts):
            return group
    return "lines"


def _tonality(x: Lines, put: _Put) -> None:
    put("major_key", x.major.max())
    put("minor_key", x.minor.max())
    put("mode", x.major.max() - x.minor.max())
    put("mode_same_tonic", _same_tonic(x.major, x.minor))
    put("degree", x.relative(x.total))
    low, high = np.zeros(12), np.zeros(12)
    np.add.at(low, x.low[x.bass] % 12, 1.0 / len(x.bass))
    np.add.at(high, x.high[x.melody] % 12, 1.0 / len(x.melody))
    put("bass_degree", x.relative(low))
    put("melody_degree", x.relative(high))
    put("collection_fit", (COLLECTIONS @ standardise(x.total)).max() / 12)
    entropy = -(x.total * np.log2(x.total + 1e-12)).sum()
    put("pitch_class_entropy", entropy)
    # Magnitudes of the Fourier transform of pitch classes (Quinn 2006; Yust 2016): chromatic cluster, tritones,
    # augmented triads, octatonic, diatonic, whole-tone content, of the whole and of the average frame.
    put("fourier", np.abs(np.fft.rfft(x.total))[1:])
    frames = x.chroma / x.chroma.sum(1, keepdims=True)
    put("frame_fourier", np.abs(np.fft.rfft(frames, axis=1))[:, 1:].mean(0))
    put("frame_pitch_classes", np.exp(-(frames * np.log(frames + 1e-12)).sum(1)).mean())
    interval_class = np.array([(frames * np.roll(frames, -k, axis=1)).sum(1).mean() for k in range(1, 7)])
    put("interval_class", interval_class / max(interval_class.sum(), 1e-9))
    for frames_each in (1, 2, 4):
        best, fit = x.chords(frames_each)
        family, root = TEMPLATE_FAMILY[best], TEMPLATE_ROOT[best]
        tag = f"chord{frames_each}"
        put(f"{tag}_family", np.bincount(family, minlength=3) / len(best))
        put(f"{tag}_fit", fit.mean())
        put(f"{tag}_change", float((best[1:] != best[:-1]).mean()) if len(best) > 1 else 0.0)
        table = np.zeros((12, 3))
        np.add.at(table, (root, family), 1.0 / len(best))
        put(f"{tag}_degree", x.relative(table).T.ravel())
        move = np.bincount((root[1:] - root[:-1]) % 12, minlength=12)[1:]
        put(f"{tag}_move", move / max(move.sum(), 1))
        kind = np.zeros(len(CHORDS))
        np.add.at(kind, best // 12, 1.0 / len(best))
        put(f"{tag}_kind", kind)
    wide = standardise(np.stack([x.chroma[i : i + 8].sum(0) for i in range(0, max(len(x.chroma) - 4, 1), 4)]))
    local = (wide @ MAJOR_KEYS.T).max(1) / 12 - (wide @ MINOR_KEYS.T).max(1) / 12
    put("local_mode_mean", local.mean())
    put("local_mode_sd", local.std())
    put("local_major_share", (local > 0).mean())


def _same_tonic(major: Floats, minor: Floats) -> float:
    tonic = int(np.maximum(major, minor).argmax())
    return float(major[tonic] - minor[tonic])


def _lines_and_texture(x: Lines, put: _Put) -> None:
    put("pitch_mean", x.pitch.mean())
    put("pitch_sd", x.pitch.std())
    put("pitch_percentile", np.percentile(x.pitch, [5, 25, 50, 75, 95]))
    put("register", _soft_histogram(x.pitch.astype(float), 30, 6, 12))
    put("register_time", _soft_histogram(x.pitch.astype(float), 30, 6, 12, np.sqrt(x.duration)))
    melody, bass = x.high[x.melody], x.low[x.bass]
    put("melody_pitch", [melody.mean(), melody.std(), np.ptp(melody)])
    put("bass_pitch", [bass.mean(), bass.std()])
    put("spread", (x.high - x.low).mean())
    put("hands_gap", melody.mean() - bass.mean())
    put("melody_interval", _interval_histogram(melody, 12))
    put("bass_interval", _interval_histogram(bass, 12))
    put("attack_interval", _interval_histogram(x.high, 12))
    put("melody_attacks", len(melody) / len(x.time))
    put("bass_attacks", len(bass) / len(x.time))
    put("attack_size", np.bincount(np.clip(x.size, 1, 6), minlength=7)[1:] / len(x.size))
    put("attack_size_mean", x.size.mean())
    ends = np.sort(x.onset + x.duration)
    sounding = np.searchsorted(x.onset, x.time, "right") - np.searchsorted(ends, x.time + 1e-3, "right")
    put("sounding", [sounding.mean(), sounding.std()])
    held = np.zeros((len(x.time), 128), dtype=bool)
    held[x.attack, x.pitch] = True
    put("octaves", (held[:, 12:] & held[:, :-12]).any(1).mean())


def _interval_histogram(line: NDArray[np.int64], limit: int) -> Floats:
    """Shares of signed steps of a line, wider ones in the outermost bins: [2 * limit + 1]."""
    steps = np.clip(np.diff(line), -limit, limit) + limit
    return np.bincount(steps, minlength=2 * limit + 1) / max(len(steps), 1)


def _rhythm(x: Lines, put: _Put) -> None:
    put("notes_per_sec", x.n / x.span)
    put("attacks_per_sec", len(x.time) / x.span)
    for name, times in (("ioi", x.time), ("melody_ioi", x.time[x.melody]), ("bass_ioi", x.time[x.bass])):
        gap = np.diff(times) if len(times) > 2 else np.full(2, 2.0)
        log = np.log2(np.clip(gap, 0.03, 6.0))
        put(name, _soft_histogram(log, -4.5, 0.5, 14))
        put(f"{name}_weighted", _soft_histogram(log, -4.5, 0.5, 14, gap))
        put(f"{name}_log", [log.mean(), log.std(), *np.percentile(log, [10, 50, 90])])
        put(f"{name}_npvi", (np.abs(np.diff(gap)) / (gap[1:] + gap[:-1])).mean() if len(gap) > 1 else 0.0)
        put(f"{name}_same", (np.abs(np.diff(log)) < 0.2).mean() if len(gap) > 1 else 0.0)
    put("duration", _soft_histogram(np.log2(x.duration), -4, 0.5, 11))
    put("duration_log", [np.log2(x.duration).mean(), np.log2(x.duration).std()])
    following = np.r_[x.time[1:], x.time[-1] + 1.0][x.attack]
    overlap = np.clip(x.duration / np.maximum(following - x.onset, 0.03), 0, 8)
    put("articulation", np.percentile(overlap, [10, 50, 90]))
    step = 2.0
    per_window = np.bincount((x.time / step).astype(int))[: max(int(x.span / step), 1)]
    put("busy_sd", per_window.std() / max(per_window.mean(), 1e-9))
    put("longest_gap", np.percentile(np.diff(x.time), 98) if len(x.time) > 2 else 2.0)
    # Pulse: autocorrelation of blurred attack strength (40 ms, so that human and quantised timing look alike).
    rate = 25
    attacks = np.bincount((x.time * rate).astype(int), x.loud * np.sqrt(x.size), minlength=int(x.span * rate) + 1)
    strength = np.convolve(attacks, [0.25, 0.5, 0.25], "same")
    strength = strength - strength.mean()
    spectrum = np.abs(np.fft.rfft(strength, 2 * len(strength))) ** 2
    correlation = np.fft.irfft(spectrum)[: 3 * rate + 1]
    correlation = np.pad(correlation, (0, 3 * rate + 1 - len(correlation))) / max(correlation[0], 1e-9)
    lags = np.arange(4, 3 * rate)
    put("pulse", correlation[[5, 7, 10, 14, 20, 28, 40, 56]])
    put("pulse_best", correlation[lags].max())
    put("pulse_lag", np.log2(lags[correlation[lags].argmax()] / rate))


def _loudness(x: Lines, put: _Put) -> None:
    v = x.velocity
    put("velocity_mean", v.mean())
    put("velocity_sd", v.std())
    put("velocity_percentile", np.percentile(v, [5, 25, 50, 75, 95]))
    put("velocity_step", np.abs(np.diff(x.loud)).mean() if len(x.loud) > 1 else 0.0)
    put("velocity_melody", x.loud[x.melody].mean() - v.mean())
    at = np.clip((x.pitch - 36) // 12, 0, 4)
    put("velocity_register", [v[at == k].mean() - v.mean() if (at == k).any() else 0.0 for k in range(5)])
    energy = np.bincount((x.onset / 2).astype(int), v)[: max(int(x.span / 2), 1)]
    put("energy", np.log(max(energy.mean(), 1.0)))
    put("energy_sd", energy.std() / max(energy.mean(), 1e-9))


def _soft_histogram(values: Floats, low: float, step: float, bins: int, weight: Floats | None = None) -> Floats:
    """Shares of values over evenly spaced bin centres, each value split between its two neighbours: [bins]."""
    place = np.clip((values - low) / step, 0, bins - 1 - 1e-9)
    left, part = place.astype(int), place - place.astype(int)
    weight = np.ones(len(values)) if weight is None else weight
    out = np.bincount(left, weight * (1 - part), bins) + np.bincount(left + 1, weight * part, bins)[:bins]
    return np.asarray(out / max(out.sum(), 1e-9))


class FeatureJudge(Judge):
    """Averaged extremely randomised trees on :func:`describe`, fitted on each clip as it is and in three variants.

    Two readings are averaged. One is of the four quadrants at once. The other is of the two axes apart, where valence
    is read half from harmony and key alone: what distinguishes glad from sad recordings otherwise (loudness,
    register, pedal) belongs to the corpus and misleads on other piano music.

    Parameters
    ----------
    seed
        Of the variants and the trees.
    n_variants
        Varied copies of each training clip, see :func:`vary`.
    n_trees
        Of each of the four forests.

    Attributes
    ----------
    feature_names_
        Names of the features [n_features].
    importances_
        Mean decrease in impurity [n_features] of the four-quadrant forest.
    """

    name = "feature judge (extremely randomised trees on tonality, lines, texture, rhythm, loudness)"

    def __init__(self, seed: int = 0, *, n_variants: int = 3, n_trees: int = 250) -> None:
        self.seed, self.n_variants, self.n_trees = seed, n_variants, n_trees

    def _fit(self, clips: list[Notes], labels: NDArray[np.int64]) -> None:
        rng = np.random.default_rng(self.seed)
        copies = clips + [vary(clip, rng) for _ in range(self.n_variants) for clip in clips]
        X, self.feature_names_ = _matrix(copies)
        y = np.tile(labels, 1 + self.n_variants)
        self._harmonic = np.array([feature_group(name) == "tonality" for name in self.feature_names_])
        arousal, valence = y <= 2, (y == 1) | (y == 4)
        self._quadrant = self._forest(X, y)
        self._arousal = self._forest(X, arousal)
        self._valence = self._forest(X, valence)
        self._valence_harmonic = self._forest(X[:, self._harmonic], valence)
        self.importances_ = np.asarray(self._quadrant.feature_importances_)

    def _forest(self, X: Floats, y: NDArray[Any]) -> Any:
        from sklearn.ensemble import ExtraTreesClassifier

        # A leaf holds at least a whole clip with its three variants.
        return ExtraTreesClassifier(
            self.n_trees, max_features=0.2, min_samples_leaf=4, class_weight="balanced", random_state=self.seed
        ).fit(X, y)

    def _predict(self, clips: list[Notes]) -> Floats:
        X, _ = _matrix(clips)
        a = self._arousal.predict_proba(X)[:, 1]
        v = self._valence.predict_proba(X)[:, 1] + self._valence_harmonic.predict_proba(X[:, self._harmonic])[:, 1]
        v /= 2
        axes = np.stack([a * v, a * (1 - v), (1 - a) * (1 - v), (1 - a) * v], axis=1)
        return np.asarray((self._quadrant.predict_proba(X) + axes) / 2)


def _matrix(clips: Sequence[Notes]) -> tuple[Floats, tuple[str, ...]]:
    rows = [describe(clip) for clip in clips]
    return np.array([list(row.values()) for row in rows]), tuple(rows[0])
