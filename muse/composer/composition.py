"""Compositions: the candidates of a request, best first, with what was asked beside what was measured."""

from __future__ import annotations

import html
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import symusic

from muse.composer.brief import Brief
from muse.composer.rank import DEFAULT_RANKING, Ranking
from muse.emotion.verdict import Reading, Verdict, decide
from muse.errors import InputError
from muse.generator.sampler import Sampling
from muse.intent import Intent
from muse.mapping import AttributeTarget, Explanation
from muse.score import note_array, write_score
from muse.selector import Ratings
from muse.theory import instrument_name
from muse.tokens.plan import Plan

__all__ = ["MIDI_SUFFIXES", "Candidate", "Composition"]

MIDI_SUFFIXES: Final = (".mid", ".midi")


@dataclass(frozen=True)
class Candidate:
    """One piece that was written for a request."""

    score: symusic.Score
    plan: Plan
    """The lead sheet that it was written from."""
    measured: Mapping[str, float]
    """Attributes of the whole piece by name; NaN where undefined."""
    adherence: float
    """0..1, see the module's conventions."""
    ratings: Ratings | None = None
    """What the selector gives it; None without a selector, or where there are too few notes to rate."""
    merit: float = 0.0
    """0..1, what candidates are ranked by; see the module's conventions."""
    number: int = 0
    """Its place in the order of writing, from 0."""

    def __repr__(self) -> str:
        return f"<Candidate: {self.n_notes} notes, merit {self.merit:.2f}, adherence {self.adherence:.2f}>"

    @property
    def n_notes(self) -> int:
        """Number of notes."""
        return int(sum(len(track.notes) for track in self.score.tracks))


@dataclass(frozen=True)
class Composition:
    """All candidates of a request, best first, with what was asked beside what was measured."""

    candidates: tuple[Candidate, ...]
    intent: Intent
    target: AttributeTarget
    brief: Brief
    seed: int
    sampling: Sampling
    timing: Mapping[str, float]
    versions: Mapping[str, str]
    ranking: Ranking = DEFAULT_RANKING
    explanation: Explanation | None = None
    """Why the best candidate sounds as it does, by its measured attributes."""

    @property
    def best(self) -> Candidate:
        """The candidate of the greatest merit."""
        return self.candidates[0]

    @property
    def plan(self) -> Plan:
        """Lead sheet of the best candidate; edit it and give it to :meth:`Composer.arrange`."""
        return self.best.plan

    def __repr__(self) -> str:
        brief, best = self.brief, self.best
        asked = "no emotion" if self.intent.emotion is None else str(self.intent.emotion)
        return (
            f"<Composition: {asked}, {self.intent.bars} bars in {brief.key_name}, {brief.tempo_bpm:.0f} bpm, "
            f"{best.n_notes} notes, {len(self.candidates)} candidates, seed {self.seed}>"
        )

    def save(self, path: str | Path) -> None:
        """Write the best candidate in the format of the name's ending.

        Parameters
        ----------
        path
            ``.mid`` or ``.midi``, with intent and seed in a text event; ``.musicxml``, ``.xml``, ``.pdf``, ``.svg`` or
            ``.png``: sheet music; ``.wav`` and the others of :data:`muse.audio.CODECS`: sound.

        Raises
        ------
        InputError
            The ending is none of these, or the file cannot be written.
        MissingExtraError
            The ending needs an extra that is not installed.
        """
        from muse.audio import CODECS
        from muse.render import SHEET_SUFFIXES, write_sheet

        ending = Path(path).suffix.lower()
        if ending in MIDI_SUFFIXES:
            write_score(self.best.score, path, text=json.dumps(self.origin(), ensure_ascii=False, sort_keys=True))
        elif ending in SHEET_SUFFIXES:
            write_sheet(self.best.score, path, title=self._title(), key=self.brief.key_name)
        elif ending in CODECS:
            self.save_audio(path)
        else:
            legal = ", ".join([*MIDI_SUFFIXES, *SHEET_SUFFIXES, *CODECS])
            raise InputError(f"{path}: there is no format {ending or 'without an ending'}; legal are {legal}")

    def save_lead_sheet(self, path: str | Path, *, title: str | None = None) -> None:
        """Write the plan of the best candidate: ABC, MusicXML, JSON, SVG, PDF, PNG or MIDI, by the name's ending.

        Parameters
        ----------
        title
            Heading; the emotion when None.

        Raises
        ------
        InputError, MissingExtraError
            As :func:`muse.sheets.write_plan`.
        """
        from muse.sheets import write_plan

        write_plan(
            replace(self.plan, tempo_bpm=round(self.brief.tempo_bpm, 2)), path, title=title or self._title() or None
        )

    def save_audio(self, path: str | Path) -> None:
        """Write the sound of the best candidate: WAV, FLAC, OGG, MP3 or M4A, by the name's ending.

        Raises
        ------
        InputError
            Another ending, or the file cannot be written.
        """
        from muse.render import render_audio

        render_audio(self.best.score, path)

    def piano_roll(self, path: str | Path | None = None, *, title: str | None = None, format: str = "png") -> bytes:
        """The best candidate as a piano roll, in the key that it was written in; instruments that were asked for and
        do not play are marked in the legend. Arguments as for :func:`muse.render.piano_roll`."""
        from muse.render import piano_roll

        asked = tuple(dict.fromkeys(self.brief.programs))
        return piano_roll(
            self.best.score, path, title=title, format=format, asked=asked, key=self.brief.key_name,
            chords=self.plan.chord_changes(),
        )  # fmt: skip

    def to_pretty_midi(self) -> Any:
        """The best candidate as ``pretty_midi.PrettyMIDI``."""
        import pretty_midi

        return pretty_midi.PrettyMIDI(io.BytesIO(self.best.score.dumps_midi()))

    def to_music21(self) -> Any:
        """The best candidate as a ``music21.stream.Score``."""
        import music21

        return music21.converter.parse(self.best.score.dumps_midi(), format="midi")

    def _title(self) -> str:
        return "" if self.intent.emotion is None else str(self.intent.emotion)

    def verdict(self) -> Verdict | None:
        """Which quadrant the best candidate is in: the selector decides, the attributes agree or not; None without
        either."""
        readings = []
        if ratings := self.best.ratings:
            readings += ratings.readings()
        if self.explanation:
            quadrant = self.explanation.quadrant
            readings.append(Reading("its attributes", quadrant, self.explanation.probabilities[quadrant]))
        return decide(readings) if readings else None

    def origin(self) -> dict[str, Any]:
        """What makes this piece again: intent, seed, sampling, candidates, versions."""
        return {
            "muse": dict(self.versions),
            "intent": self.intent.to_dict(),
            "seed": self.seed,
            "sampling": vars(self.sampling),
            "ranking": vars(self.ranking),
            "candidates": len(self.candidates),
            **({} if self.brief.plan is None else {"plan": self.brief.plan.to_json()}),
        }

    def asked_and_measured(self) -> list[tuple[str, float, float, float]]:
        """(attribute, asked, measured, weight), the heaviest first."""
        rows = [
            (name, asked, self.best.measured.get(name, math.nan), weight)
            for name, asked, weight in zip(self.target.names, self.target.value, self.target.weight, strict=True)
        ]
        return sorted(rows, key=lambda row: -row[3])

    def report(self) -> str:
        """What was asked and what was measured, as text."""
        brief, best = self.brief, self.best
        lines = [
            f"{self.intent.bars} bars, {brief.time_signature[0]}/{brief.time_signature[1]}, {brief.key_name}, "
            f"{brief.tempo_bpm:.0f} bpm, {', '.join(instrument_name(p) for p in brief.programs)}; "
            f"{best.n_notes} notes; seed {self.seed}",
            *str(self.plan).splitlines(),
            f"merit {best.merit:.2f} (candidates: {', '.join(f'{c.merit:.2f}' for c in self.candidates)}); "
            + ("no attribute was asked for" if math.isnan(best.adherence) else f"adherence {best.adherence:.2f}"),
            *brief.remarks,
        ]
        if best.ratings:
            rated = best.ratings
            lines.append(f"quality {rated.quality:.2f}")
            lines.append(
                f"rated as valence {rated.emotion.valence:+.2f}, arousal {rated.emotion.arousal:+.2f} ("
                + ", ".join(f"Q{i + 1} {p:.2f}" for i, p in enumerate(rated.quadrants))
                + f"), {rated.genre}"
            )
        if found := self.verdict():
            lines.append(f"verdict: {found.sentence()}")
        if self.explanation:
            lines.append(self.explanation.sentence())
        if self.target.names:
            lines.append(f"{'attribute':<40}{'asked':>10}{'measured':>10}")
            lines += [f"{name:<40}{asked:>10.3g}{got:>10.3g}" for name, asked, got, _ in self.asked_and_measured()]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The document of ``muse compose --json``, without ``output``."""
        best, notes = self.best, note_array(self.best.score)
        return {
            "seed": self.seed,
            "intent": self.intent.to_dict(),
            "target": self.target.to_dict(),
            "measured": {name: _finite(value) for name, value in best.measured.items()},
            "adherence": _finite(best.adherence, 4),
            "verdict": None if (found := self.verdict()) is None else found.to_json(),
            "remarks": list(self.brief.remarks),
            "scores": _scores(best),
            "ratings": best.ratings.to_json() if best.ratings else None,
            "candidates": [{**_scores(c), "n_notes": c.n_notes} for c in self.candidates],
            **(self.explanation.to_json() if self.explanation else {}),
            "n_notes": best.n_notes,
            "bars": self.intent.bars,
            "chords": str(self.plan),
            "form": self.plan.form,
            "duration_s": round(float((notes["onset_sec"] + notes["duration_sec"]).max(initial=0.0)), 3),
            "key": self.brief.key_name,
            "tempo_bpm": round(self.brief.tempo_bpm, 2),
            "timing": dict(self.timing),
            "versions": dict(self.versions),
        }

    def _repr_html_(self) -> str:
        """Piano roll and table, for notebooks."""
        body = self.piano_roll(format="svg").decode("utf-8")
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{asked:.3g}</td><td>{got:.3g}</td></tr>"
            for name, asked, got, _ in self.asked_and_measured()
        )
        head = html.escape(self.report().splitlines()[0])
        return (
            f"<p>{head}</p>{body[body.find('<svg') :]}"
            f"<table><tr><th>attribute</th><th>asked</th><th>measured</th></tr>{rows}</table>"
        )


def _scores(candidate: Candidate) -> dict[str, float | None]:
    scores = {
        "merit": candidate.merit,
        "adherence": candidate.adherence,
    }
    if candidate.ratings:
        scores["quality"] = candidate.ratings.quality
    return {name: _finite(value, 4) for name, value in scores.items()}


def _finite(value: float, digits: int = 5) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None
