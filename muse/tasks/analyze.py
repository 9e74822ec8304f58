"""Analyzing files: what is measured of a piece of MIDI, which emotion it carries, and why.

Contents: :class:`Analyzer`, :func:`each_file`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muse.errors import InputError, MuseError

if TYPE_CHECKING:
    from muse.mapping import EmotionMapper
    from muse.selector import Selector

__all__ = ["Analyzer", "each_file"]


class Analyzer:
    """What analyzes pieces; mapping and selector are loaded when the first piece needs them."""

    @cached_property
    def mapper(self) -> EmotionMapper:
        """From attributes to emotion."""
        from muse.mapping import EmotionMapper

        return EmotionMapper.from_pretrained()

    @cached_property
    def selector(self) -> Selector:
        """Rates pieces by their notes."""
        from muse.selector import Selector

        return Selector.from_pretrained()

    def analyze(self, file: str | Path, *, plot: str | Path | None = None) -> dict[str, Any]:
        """What ``muse analyze`` reports of a MIDI file, without its name.

        Parameters
        ----------
        plot
            Picture of what adds to the emotion and what takes from it.

        Raises
        ------
        InputError
            The file cannot be read or has no notes.
        """
        from muse.attributes import extract
        from muse.emotion.verdict import Reading, decide
        from muse.score import bar_grid, mean_tempo_bpm, note_array, read_score
        from muse.selector.events import MIN_NOTES
        from muse.theory import estimate_key

        score = read_score(file)
        notes = note_array(score)
        if not len(notes):
            raise InputError(f"{file}: has no notes, so there is nothing to analyze")
        attributes = extract(score)
        key = estimate_key(notes)
        explanation = self.mapper.explain(attributes)
        ratings = self.selector.rate([score])[0] if len(notes) >= MIN_NOTES else None
        if plot:
            from muse.render import signed_bars

            signed_bars(*explanation.bars(), plot, title=Path(file).name)
        by_attributes = Reading("its attributes", explanation.quadrant, explanation.probabilities[explanation.quadrant])
        return {
            "emotion": self.mapper.describe(attributes),
            # The selector's prediction, from the notes themselves; null where there are too few of them.
            "heard": {**ratings.emotion.to_dict(), "quadrant": ratings.emotion.quadrant} if ratings else None,
            "verdict": decide([*(ratings.readings() if ratings else []), by_attributes]).to_json(),
            "attributes": attributes.to_dict(),
            "key": None if key is None else str(key),
            "tempo": round(mean_tempo_bpm(score), 2),
            "genre": dict(ratings.genres) if ratings else None,
            "quality": ratings.quality if ratings else None,
            **explanation.to_json(),
            "bars": bar_grid(score).n_bars,
            "duration_s": round(float((notes["onset_sec"] + notes["duration_sec"]).max()), 3),
            "n_notes": len(notes),
        }


def each_file(
    files: Sequence[str], read: Callable[[str], dict[str, Any]], *, progress: Callable[[float], None] | None = None
) -> Iterator[dict[str, Any]]:
    """A document for each file: its name and what *read* makes of it; one that cannot be used has its ``error``, and
    the others go on."""
    for i, file in enumerate(files):
        try:
            yield {"file": file, **read(file)}
        except MuseError as error:
            yield {"file": file, "error": " ".join(str(error).split())}
        if progress is not None:
            progress((i + 1) / len(files))
