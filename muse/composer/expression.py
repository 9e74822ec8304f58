"""What players do that no page says: how they time, use the pedal and let keys go.

Timing is a tempo for each beat, so onsets stay on the grid. A beat's log tempo is made of the course of a phrase, of a
drift that is correlated from beat to beat, and of what is left to chance; how much of it there is falls with loudness,
for quiet music is played more freely. The sustain pedal is changed with the harmony, as pianists do: lifted as the new
chord is struck, caught just after. Keys are let go before they are struck again, and a tune's notes are more or less
joined, by less than what a page shows.

What was measured lies in ``attributes/expression.json`` (:func:`muse.training.expression.fit_expression`).

Conventions
-----------
step
    A twelfth of a quarter note; onsets, spans and chord changes are counted in them from the start of the piece.

Contents: :data:`QUANTILES`, :class:`Expression`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import Settings, data_path
from muse.errors import InputError

__all__ = ["QUANTILES", "Expression"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the distributions that the table holds."""

_STEPS = 12  # a quarter note
_FARTHEST = 2.5  # standard deviations of log tempo
_DRY_BARS = 4  # decided together: nobody takes the foot off and on from bar to bar
_SHORTEST_SEC = 0.15  # of a pedal
_SHORTEST_GAP_SEC = 0.03  # between two of them, for the dampers to fall
_ROOM = 1.4
"""Steps by which a key may be let go early or late: its end is still rounded to the sixteenth that was written."""
_TOGETHER_SEC = 1.5  # between two onsets that belong together


@dataclass(frozen=True)
class Expression:
    """People's timing, pedal and key-down times.

    Parameters
    ----------
    velocity, spread
        [n]: mean velocities, increasing, and the standard deviation of log tempo from beat to beat at each.
    correlation
        Of the drift from one beat to the next, 0..1.
    drift
        Share of the variance, apart from the phrase's, that is drift, 0..1; the rest is chance.
    phrase
        [k]: mean log tempo in each of k equal parts of a phrase, in standard deviations: slower at its end.
    lift_sec, press_sec
        [5]: when the pedal is lifted and caught again, in seconds from the new chord; :data:`QUANTILES`.
    at_bar, at_beat
        How often it is changed at bars and at other beats that bring no new chord, 0..1.
    key_down_sec, dry
        [m]: mean time for which keys are held in a bar, lower edges in seconds, and the share of such bars that are
        played without pedal.
    tune, struck_again
        [5]: share of the time to the next note of the tune, and to the next stroke of the same key, for which a key is
        held, 0..1; :data:`QUANTILES`.
    of_player
        Share of the variance of `tune` that lies between players, 0..1.
    """

    velocity: Floats
    spread: Floats
    correlation: float
    drift: float
    phrase: Floats
    lift_sec: Floats
    press_sec: Floats
    at_bar: float
    at_beat: float
    key_down_sec: Floats
    dry: Floats
    tune: Floats
    struck_again: Floats
    of_player: float

    @classmethod
    def load(cls, path: Path | None = None) -> Expression:
        """The table that comes with Muse, or another.

        Raises
        ------
        InputError
            Something is missing from it.
        """
        return _load(path or data_path("attributes") / "expression.json")

    def tempo_curve(self, place: Floats, velocity: Floats, length: Floats, rng: np.random.Generator) -> Floats:
        """Tempo of each beat as a multiple of the piece's, which begins in tempo and takes as long as in one.

        Parameters
        ----------
        place
            [n_beats]: where in its phrase each beat lies, 0..1.
        velocity
            [n_beats]: how loud the music is there.
        length
            [n_beats]: of each beat, in any unit.
        rng
            Of drift and chance.

        Returns
        -------
        numpy.ndarray
            float64 [n_beats].
        """
        n = len(place)
        course = np.interp(place, (np.arange(len(self.phrase)) + 0.5) / len(self.phrase), self.phrase)
        drift, chance = rng.normal(size=(2, n))
        drift[:1] = 0.0
        for k in range(1, n):
            drift[k] = self.correlation * drift[k - 1] + np.sqrt(1 - self.correlation**2) * drift[k]
        free = np.sqrt(self.drift) * drift + np.sqrt(1 - self.drift) * chance
        free *= np.sqrt(max(1.0 - float(course.var()), 0.0)) if n else 1.0
        spread = np.interp(velocity, self.velocity, self.spread)
        log_tempo = spread * np.clip(course + free, -_FARTHEST, _FARTHEST)
        share = np.exp(log_tempo)
        share[1:] *= (length[1:] / share[1:]).sum() / max(float(length[1:].sum()), 1e-9)
        share[:1] = 1.0
        return np.asarray(share)

    def pedal(
        self,
        onset: Ints,
        held: Floats,
        changes: Ints,
        bar: int,
        beat: int,
        end: int,
        tempo_bpm: float,
        rng: np.random.Generator,
    ) -> Floats:
        """When the pedal of an instrument is pressed and lifted.

        Parameters
        ----------
        onset, held
            [n_notes]: of what it plays, in steps.
        changes
            Where chords change.
        bar, beat, end
            Lengths of a bar and of a beat, and of all the music.
        tempo_bpm
            Quarter notes a minute.
        rng
            Of what differs from one time to the next.

        Returns
        -------
        numpy.ndarray
            float64 [n, 2]: pressed, lifted; in steps, increasing, none overlapping.
        """
        per_sec = _STEPS * tempo_bpm / 60.0
        points = self._pedal_points(onset, changes, bar, beat, end, rng)
        dry = self._dry_bars(onset, held / per_sec, bar, end, rng)
        strokes = np.unique(onset)
        first = np.append(np.searchsorted(strokes, points), len(strokes))
        struck = first[1:] > first[:-1]
        # A stretch of one harmony begins with the first note that is struck in it, and without one where it begins.
        starts = np.where(struck, strokes[np.minimum(first[:-1], len(strokes) - 1)], points)
        press_sec, lift_sec = (
            np.interp(rng.random(len(points)), QUANTILES, table) for table in (self.press_sec, self.lift_sec)
        )
        lift_sec = np.minimum(lift_sec, press_sec - _SHORTEST_GAP_SEC)
        pressed = starts + press_sec * per_sec
        lifted = np.append((starts + lift_sec * per_sec)[1:], end)
        used = struck & ~dry[np.minimum(starts // bar, len(dry) - 1)]
        used &= lifted - pressed > _SHORTEST_SEC * per_sec
        return np.stack([np.maximum(pressed, 0), lifted], axis=1)[used]

    def _pedal_points(
        self, onset: Ints, changes: Ints, bar: int, beat: int, end: int, rng: np.random.Generator
    ) -> Ints:
        """Where the pedal may be changed, increasing: with each chord, and now and then without one where notes are."""
        beats = np.concatenate([np.arange(start, min(start + bar, end), beat) for start in range(0, end, bar)])
        chance = np.where(beats % bar == 0, self.at_bar, self.at_beat)
        besides = beats[(rng.random(len(beats)) < chance) & np.isin(beats, onset)]
        return np.unique(np.concatenate([[0], changes[changes < end], besides])).astype(np.int64)

    def _dry_bars(
        self, onset: Ints, held_sec: Floats, bar: int, end: int, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Which bars are played without pedal: the shorter keys are held, the more of them."""
        n_bars = -(-end // bar)
        count = np.bincount(onset // bar, minlength=n_bars)
        mean_sec = np.bincount(onset // bar, weights=held_sec, minlength=n_bars) / np.maximum(count, 1)
        share = self.dry[np.searchsorted(self.key_down_sec, mean_sec, side="right") - 1]
        chance = np.repeat(rng.random(-(-n_bars // _DRY_BARS)), _DRY_BARS)[: len(share)]
        return np.asarray((chance < share) & (count > 0))

    def held(
        self, onset: Ints, pitch: Ints, span: Ints, is_tune: NDArray[np.bool_], tempo_bpm: float,
        rng: np.random.Generator,
    ) -> Floats:  # fmt: skip
        """How long an instrument's keys are held, in steps: the tune's and those that are struck again at once a little
        shorter than written, or longer where nothing follows; others as written.

        Parameters
        ----------
        onset, pitch, span
            [n_notes]: as written.
        is_tune
            [n_notes]: which notes are the tune.
        tempo_bpm
            Quarter notes a minute.
        rng
            Of what differs from one time to the next.
        """
        longest = _TOGETHER_SEC * _STEPS * tempo_bpm / 60.0
        player, single = rng.normal(), rng.normal(size=(2, len(onset)))
        mixed = np.sqrt(self.of_player) * player + np.sqrt(1 - self.of_player) * single[0]
        # Never longer than until the next stroke after the written end, so that no more sounds at once than is written.
        strokes = np.append(np.unique(onset), np.iinfo(np.int64).max)
        latest = np.minimum(span + _ROOM, strokes[np.searchsorted(strokes, onset + span)] - onset)
        to_tune = _to_next(onset, np.where(is_tune, 0, np.arange(len(onset)) + 1))
        to_again = _to_next(onset, pitch)
        out = span.astype(np.float64)
        for wait, where, place, table in (
            (to_tune, is_tune, mixed, self.tune),
            (to_again, to_again == span, single[1], self.struck_again),
        ):
            share = np.interp([NormalDist().cdf(float(z)) for z in place], QUANTILES, table)
            bent = np.clip(share * wait, np.maximum(span - _ROOM, span / 2), latest)
            out = np.where(where & (wait < longest), np.where(out < span, np.minimum(out, bent), bent), out)
        return out


def _to_next(onset: Ints, group: Ints) -> Floats:
    """Steps from each note to the next onset of its group; infinite for the last."""
    order = np.lexsort((onset, group))
    out = np.full(len(onset), np.inf)
    same = group[order][1:] == group[order][:-1]
    out[order[:-1][same]] = np.diff(onset[order])[same]
    return np.where(out == 0, np.inf, out)


@lru_cache(maxsize=4)
def _load(path: Path) -> Expression:
    table = Settings.read(path)
    tempo, pedal, release = (table.part(name) for name in ("tempo", "pedal", "release"))

    def numbers(part: Settings, name: str, count: int | None = None) -> Floats:
        row = part.values.get(name)
        if not isinstance(row, list) or not row or len(row) != (count or len(row)):
            raise InputError(f"{path}: {name} needs {count or 'some'} numbers")
        return np.array(row, np.float64)

    velocity, edges = numbers(tempo, "velocity"), numbers(pedal, "key_down_sec")
    n = len(QUANTILES)
    return Expression(
        velocity=velocity,
        spread=numbers(tempo, "spread", len(velocity)),
        correlation=tempo.real("correlation", 0, 1),
        drift=tempo.real("drift", 0, 1),
        phrase=numbers(tempo, "phrase"),
        lift_sec=numbers(pedal, "lift_sec", n),
        press_sec=numbers(pedal, "press_sec", n),
        at_bar=pedal.real("at_bar", 0, 1),
        at_beat=pedal.real("at_beat", 0, 1),
        key_down_sec=edges,
        dry=numbers(pedal, "dry", len(edges)),
        tune=numbers(release, "tune", n),
        struck_again=numbers(release, "struck_again", n),
        of_player=release.real("of_player", 0, 1),
    )
