"""What planner and arranger learn from: windows of lead sheets and of their arrangements, with controls.

The prefix never lies: controls are measured on the very bars that follow. Each is dropped at random, so that any
subset may be given later; some windows have none, for guidance.

Contents: :class:`SheetSettings`, :class:`PlannerTask`, :class:`ArrangerTask`, :func:`train_planner`,
:func:`train_arranger`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from muse.dataset.accompaniment import Accompaniment
from muse.dataset.lead_sheets import Sheet, load
from muse.errors import InputError
from muse.files import write_json
from muse.tokens.arrangement import (
    SECTION_BARS,
    Header,
    encode_controls,
    encode_header,
)
from muse.tokens.arrangement import VOCABULARY as ARRANGEMENT
from muse.tokens.plan import (
    EOS,
    VOCABULARY,
    Bar,
    Plan,
    Prefix,
    Vocabulary,
    encode_bar,
    encode_prefix,
)
from muse.tokens.plan_form import FORM_BARS, Buckets, find_sections, form_unit, measure
from muse.training import loop
from muse.training.language_model import IGNORED, Batch, LanguageModel, RunSettings, pad
from muse.training.loop import card, settings_from

__all__ = ["ARRANGED", "ArrangerTask", "PlannerTask", "SheetSettings", "train_arranger", "train_planner"]

_FORM_SHEETS = 400  # from which forms are counted, drawn as windows are
_POOL = 8  # batches that are drawn together, so that windows of similar length share one


@dataclass(frozen=True)
class SheetSettings:
    """What windows are drawn."""

    corpora: Mapping[str, float] = field(
        default_factory=lambda: {
            "pop909": 0.66,
            "openewld": 0.10,
            "openscore-lieder": 0.12,
            "openscore-quartets": 0.05,
            "mutopia": 0.07,
        }
    )
    """Corpus -> share of the windows."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Corpus -> most sheets that are read of it, where a short run would see a part of it anyway."""
    bars: Mapping[int, float] = field(default_factory=lambda: {32: 0.5, 48: 0.25, 64: 0.15, 96: 0.1})
    """Bars of a window -> how often."""
    from_start: float = 0.35
    """Share of windows that begin where the song does."""
    to_end: float = 0.2
    """Share of windows that end where it does."""
    drop_control: float = 0.4
    """How often one control is left open."""
    drop_all: float = 0.25
    """How often all are."""
    melody_first: float = 0.12
    """Share of windows whose bars say the tune before the chords."""
    batch_tokens: int = 2560
    """Tokens a batch, padding included."""
    n_validation: int = 48
    """Held-out windows."""
    seed: int = 0


class _Windows:
    """Draws spans of bars; shared by both models."""

    def __init__(self, folder: Path | str, settings: SheetSettings) -> None:
        sheets = load(folder, settings.corpora, ("train", "val"), settings.limits)
        if not sheets:  # music of one's own: all of it, each corpus by its size
            sheets = load(folder, splits=("train", "val"), limits=settings.limits)
            counts = Counter(sheet.corpus for sheet in sheets)
            settings = replace(settings, corpora={name: n / len(sheets) for name, n in counts.items()})
        self.settings = settings
        learnt, held_out = _parted([sheet for sheet in sheets if len(sheet.plan.bars) >= 8])
        if not learnt or not held_out:
            raise InputError(
                f"{folder} has {len(learnt)} lead sheets to learn from and {len(held_out)} to test on: give more music "
                "(two songs or more)"
            )
        self.sheets, self.held_out = ([sheet.in_c() for sheet in part] for part in (learnt, held_out))
        weights = np.array([min(len(s.plan.bars), 64) for s in self.sheets], float)
        names = np.array([s.corpus for s in self.sheets])
        for name, share in settings.corpora.items():
            mine = names == name
            if mine.any():
                weights[mine] *= share / weights[mine].sum()
        self.weights = weights / weights.sum()

    def draw(self, sheets: Sequence[Sheet], rng: np.random.Generator, weights: Any = None) -> tuple[Sheet, int, int]:
        """A sheet and a range of its bars."""
        s = self.settings
        sheet = sheets[int(rng.choice(len(sheets), p=weights))]
        n_bars = int(rng.choice(list(s.bars), p=list(s.bars.values())))
        room = len(sheet.plan.bars) - n_bars
        kind = rng.random()
        if room <= 0 or kind < s.from_start:
            first = 0
        else:
            first = room if kind < s.from_start + s.to_end else int(rng.integers(0, room + 1))
        return sheet, first, min(first + n_bars, len(sheet.plan.bars))

    def pools(self, step: int, encode: Any) -> Batch:
        """The batch of a step out of a pool of windows of similar length."""
        s = self.settings
        pool, index = divmod(step, _POOL)
        if getattr(self, "_pool", None) != pool:
            rng = np.random.default_rng([s.seed, 1, pool])
            windows: list[Any] = []
            while sum(len(ids) for ids, _ in windows) < s.batch_tokens * _POOL:
                windows.append(encode(*self.draw(self.sheets, rng, self.weights), rng, True))
            windows.sort(key=lambda w: len(w[0]))
            share = np.cumsum([len(ids) for ids, _ in windows])
            cuts = np.minimum(share * _POOL // (share[-1] + 1), _POOL - 1)
            groups = [[w for w, c in zip(windows, cuts, strict=True) if c == i] for i in range(_POOL)]
            groups = [g for g in groups if g]
            self._pool, self._groups = pool, [groups[i] for i in rng.permutation(len(groups))]
        return pad(self._groups[index % len(self._groups)])

    def held_out_batches(self, encode: Any, n_rows: int) -> list[Batch]:
        """Windows of held-out sheets, as they are, `n_rows` of similar length in a batch."""
        rng = np.random.default_rng([self.settings.seed, 3])
        windows = [encode(*self.draw(self.held_out, rng), rng, False) for _ in range(self.settings.n_validation)]
        windows.sort(key=lambda pair: len(pair[0]))
        return [pad(windows[i : i + n_rows]) for i in range(0, len(windows), n_rows)]


def _parted(sheets: Sequence[Sheet]) -> tuple[list[Sheet], list[Sheet]]:
    """Sheets to learn from and to test on: people's own songs (POP909) judge where they are there, else whatever the
    validation split holds, else a tenth of the songs."""
    learnt = [sheet for sheet in sheets if sheet.split == "train"]
    held_out = [sheet for sheet in sheets if sheet.split == "val"]
    if judges := [sheet for sheet in held_out if sheet.corpus == "pop909" and len(sheet.plan.bars) >= 16]:
        return learnt, judges
    if not held_out:
        songs = sorted({_song(sheet) for sheet in learnt}, key=lambda name: hashlib.sha256(name.encode()).digest())
        apart = set(songs[: max(1, round(0.1 * len(songs)))])
        held_out = [sheet for sheet in learnt if _song(sheet) in apart]
        learnt = [sheet for sheet in learnt if _song(sheet) not in apart]
    return learnt, held_out


def _song(sheet: Sheet) -> str:
    return sheet.song.rpartition("#")[0]


def window_of(sheet: Sheet, first: int, stop: int) -> Plan:
    """Bars of a sheet's plan as a plan of their own; what they follow outside of it is forgotten."""
    bars: list[Bar] = []
    for i, bar in enumerate(sheet.plan.bars[first:stop]):
        if bar.melody_lag > i:
            bar = replace(bar, melody_lag=0, melody_exact=False)
        bars.append(replace(bar, chords_lag=0) if bar.chords_lag > i else bar)
    return replace(sheet.plan, bars=tuple(bars), sections=())


class _SheetTask:
    """What both tasks share: windows, and what is written beside weights.

    Parameters
    ----------
    folder
        What :func:`muse.dataset.lead_sheets.build` wrote.
    """

    kind: str
    defaults: SheetSettings
    vocabulary: Vocabulary
    buckets: Buckets
    validation_rows: int
    """Windows of a batch that is held out."""

    def __init__(self, folder: Path | str, settings: SheetSettings) -> None:
        self._windows = _Windows(folder, settings)
        self.settings = settings = self._windows.settings
        self.buckets = self._fit(np.random.default_rng([settings.seed, 2]))
        self._validation = self._windows.held_out_batches(self._encode, self.validation_rows)

    @classmethod
    def configured(cls, folder: Path | str, windows: Mapping[str, Any]) -> Self:
        """The task with settings as ``training.json`` names them, and its defaults for the rest.

        Raises
        ------
        InputError
            A setting is unknown, or the folder holds nothing to learn from.
        """
        settings = settings_from(SheetSettings, {**vars(cls.defaults), **windows})
        bars = {int(n): share for n, share in settings.bars.items()}  # names in JSON are texts
        return cls(folder, replace(settings, bars=bars))

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    def batch(self, number: int) -> Batch:
        return self._windows.pools(number, self._encode)

    def validation(self) -> Sequence[Batch]:
        return self._validation

    def settings_json(self) -> Mapping[str, Any]:
        return asdict(self.settings)

    def write(self, folder: Path) -> None:
        """Bucket edges of the controls, and the spelling of the ids."""
        write_json({name: list(edges) for name, edges in self.buckets.edges.items()}, folder / "controls.json")
        write_json({name: list(values) for name, values in self.vocabulary.blocks}, folder / "vocabulary.json")

    def card(self, name: str, metrics: Mapping[str, Any]) -> str:
        """The model card, with the licences that the shards state."""
        judges = ", ".join(sorted({sheet.corpus for sheet in self._windows.held_out}))
        licences = sorted({sheet.licence for sheet in self._windows.sheets})
        return card(
            f"Muse {self.kind}, `{name}`",
            ("music", "symbolic-music"),
            f"A Llama-style causal language model of {metrics['n_parameters']:,} weights over the tokens in "
            "`vocabulary.json`.\n`AutoModelForCausalLM.from_pretrained` loads it; `muse compose "
            f"--{self.kind}` composes with it.",
            {
                "windows from": ", ".join(f"{corpus} ({share:.0%})" for corpus, share in self.settings.corpora.items()),
                "licences of the music": ", ".join(licences),
                "steps": f"{metrics['steps']:,}",
                "tokens": f"{metrics['tokens']:,}",
                "minutes of wall time": f"{metrics['minutes']:.1f}",
                f"held-out loss ({judges}; songs never trained on)": f"{metrics['val_loss']:.4f} nats a token",
            },
            "Splits are by song. `training.json` has every setting, `metrics.json` the curve, `controls.json` the "
            "edges\nof the controls' buckets, `vocabulary.json` the spelling of the ids.",
            head={"license": "apache-2.0", "library_name": "transformers"},
        )

    def _fit(self, rng: np.random.Generator) -> Buckets:
        """Buckets of the controls, from training windows."""
        raise NotImplementedError

    def _encode(
        self, sheet: Sheet, first: int, stop: int, rng: np.random.Generator, augment: bool
    ) -> tuple[list[int], list[int]]:
        """Ids and labels of a window."""
        raise NotImplementedError


class PlannerTask(_SheetTask):
    """Windows of lead sheets as ids; all bars count in the loss."""

    kind, defaults, vocabulary, validation_rows = "planner", SheetSettings(), VOCABULARY, 6

    def _fit(self, rng: np.random.Generator) -> Buckets:
        w = self._windows
        n = min(600, 20 * len(w.sheets))
        return Buckets.fit(measure(window_of(*w.draw(w.sheets, rng, w.weights))) for _ in range(n))

    def write(self, folder: Path) -> None:
        """Controls, vocabulary, and what songs of people's are like."""
        super().write(folder)
        for name, table in self._people.items():
            write_json(table, folder / name)

    @cached_property
    def _people(self) -> dict[str, Any]:
        return {"examples.json": self.examples(), "forms.json": self.forms()}

    def examples(self, n: int = 300, n_bars: int = 16) -> list[dict[str, Any]]:
        """Mode, genre and buckets of controls of training windows that have a tune: what people's songs are like."""
        rng = np.random.default_rng([self.settings.seed, 4])
        w = self._windows
        out: list[dict[str, Any]] = []
        for _ in range(4 * n):
            sheet, first, _ = w.draw(w.sheets, rng, w.weights)
            plan = window_of(sheet, first, min(first + n_bars, len(sheet.plan.bars)))
            if len(out) < n and sum(len(bar.melody) for bar in plan.bars) >= 1.5 * n_bars:
                out.append({"mode": plan.mode, "genre": sheet.genre, **self.buckets.of(measure(plan))})
        return out

    def forms(self, kept: int = 80) -> dict[str, dict[str, int]]:
        """Forms of people's music: number of bars -> form -> how often, the commonest; see :func:`form_unit`."""
        found: dict[int, Counter[str]] = {n: Counter() for n in FORM_BARS}
        w, rng = self._windows, np.random.default_rng([self.settings.seed, 5])
        drawn = rng.choice(len(w.sheets), min(_FORM_SHEETS, len(w.sheets)), replace=False, p=w.weights)
        for sheet in (w.sheets[i] for i in drawn):
            bars = sheet.plan.bars
            for n, counts in found.items():
                for first in range(0, len(bars) - n + 1, max(n // 2, 4)):
                    window = bars[first : first + n]
                    if sum(bool(bar.melody) for bar in window) >= 0.8 * n:
                        plan = replace(sheet.plan, bars=window, sections=())
                        counts[find_sections(plan, form_unit(n)).form] += 1
        return {str(n): dict(counts.most_common(kept)) for n, counts in found.items() if counts}

    def _encode(
        self, sheet: Sheet, first: int, stop: int, rng: np.random.Generator, augment: bool
    ) -> tuple[list[int], list[int]]:
        s = self.settings
        plan = window_of(sheet, first, stop)
        controls = self.buckets.of(measure(plan))
        melody_first = False
        genre: str | None = sheet.genre
        mode: Any = plan.mode
        if augment:
            melody_first = rng.random() < s.melody_first
            none = rng.random() < s.drop_all
            controls = {k: v for k, v in controls.items() if not none and rng.random() >= s.drop_control}
            genre = None if rng.random() < 0.1 else genre
            mode = None if rng.random() < 0.1 else mode
        prefix = encode_prefix(
            Prefix(plan.time_signature, mode, genre, sheet.at_start and first == 0, melody_first, controls)
        )
        n_left = len(sheet.plan.bars) - first - 1 if sheet.at_end else 10_000
        ids, labels = list(prefix), [IGNORED] * len(prefix)
        for i, bar in enumerate(plan.bars):
            row = encode_bar(bar, n_left - i, melody_first=melody_first)
            ids += row
            labels += row
        closing = EOS if sheet.at_end and stop == len(sheet.plan.bars) else None
        return (ids, labels) if closing is None else ([*ids, closing], [*labels, closing])


ARRANGED = SheetSettings(
    corpora={
        "pop909": 0.62,
        "openscore-lieder": 0.13,
        "openscore-quartets": 0.11,
        "mutopia": 0.06,
        "freedoom": 0.03,
        "cc0-midis": 0.01,
        "groove": 0.04,
    },
    bars={8: 0.2, 16: 0.6, 24: 0.2},
    from_start=0.2,
    to_end=0.15,
    drop_all=0.2,
    n_validation=32,
)
"""What the arranger learns from: corpora with parts below the tune."""

_MAX_ARRANGED = 1800  # tokens of a window; the bars that do not fit are left out
_DROP_PART = 0.15  # of ensembles of three and more


class ArrangerTask(_SheetTask):
    """Windows of arrangements as ids; only what the arranger writes counts in the loss."""

    kind, defaults, vocabulary, validation_rows = "arranger", ARRANGED, ARRANGEMENT, 4

    def __init__(self, folder: Path | str, settings: SheetSettings) -> None:
        self._bars: dict[str, Accompaniment] = {}
        super().__init__(folder, settings)

    def _fit(self, rng: np.random.Generator) -> Buckets:
        w = self._windows
        rows: list[dict[str, float]] = []
        while len(rows) < min(1000, 20 * len(w.sheets)):
            sheet, first, stop = w.draw(w.sheets, rng, w.weights)
            if len(sheet.notes):
                rows.append(self._accompaniment(sheet).measure(first, min(first + SECTION_BARS, stop)))
        return Buckets.fit(rows)

    def _accompaniment(self, sheet: Sheet) -> Accompaniment:
        if sheet.song not in self._bars:
            self._bars[sheet.song] = Accompaniment(sheet)
        return self._bars[sheet.song]

    def _encode(
        self, sheet: Sheet, first: int, stop: int, rng: np.random.Generator, augment: bool
    ) -> tuple[list[int], list[int]]:
        s = self.settings
        music = self._accompaniment(sheet)
        parts = list(music.order)
        if augment and len(parts) > 2:
            parts = [p for p in parts if rng.random() >= _DROP_PART] or parts[-1:]
        no_controls = augment and rng.random() < s.drop_all

        def given(share: float) -> bool:
            return not augment or rng.random() >= share

        header = encode_header(
            Header(
                tuple(sheet.parts[p] for p in parts),
                sheet.plan.time_signature,
                sheet.plan.mode if given(0.1) else None,
                sheet.genre if given(0.1) else None,
                sheet.tempo_bpm if given(0.15) else None,
                sheet.at_start and first == 0,
            )
        )
        ids, labels = list(header), [IGNORED] * len(header)
        n_left = len(sheet.plan.bars) - first - 1 if sheet.at_end else 10_000
        for i in range(stop - first):
            bar = first + i
            prompt: list[int] = []
            if i % SECTION_BARS == 0:
                values = music.measure(bar, min(bar + SECTION_BARS, stop), sheet.played)
                buckets = self.buckets.of(values)
                kept = {k: v for k, v in buckets.items() if not no_controls and given(s.drop_control)}
                prompt += encode_controls(kept)
            prompt += encode_bar(sheet.plan.bars[bar], n_left - i, lags=False)
            said, is_chosen = music.spell(bar, first, parts)
            if i >= SECTION_BARS and len(ids) + len(prompt) + len(said) > _MAX_ARRANGED:
                break
            ids += prompt + said
            labels += [IGNORED] * len(prompt)
            labels += [token if ours else IGNORED for token, ours in zip(said, is_chosen, strict=True)]
        return ids, labels


def train_planner(
    folder: Path | str,
    out: Path | str,
    *,
    windows: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    **call: Any,
) -> dict[str, Any]:
    """Train a planner and write its checkpoint folder.

    Parameters
    ----------
    folder
        What :func:`muse.dataset.lead_sheets.build` wrote.
    out
        Checkpoint folder. The state that a resumed run needs lies beside it in ``<out>.run/``.
    windows
        Fields of :class:`SheetSettings`. A checkpoint's ``training.json`` has these and those of `run`.
    run
        Fields of :class:`~muse.training.language_model.RunSettings`.
    call
        ``devices``, ``nodes``, ``strategy``, ``threads`` of :class:`~muse.training.loop.Run`; ``resume``, ``progress``,
        ``callbacks`` of :func:`muse.training.loop.train`.

    Returns
    -------
    dict
        ``metrics.json``'s content: held-out loss in nats a token, steps, tokens, minutes, history.

    Raises
    ------
    InputError
        A setting is unknown, or the folder holds nothing to learn from.
    """
    return _train(PlannerTask, folder, out, windows or {}, run or {}, **call)


def train_arranger(
    folder: Path | str,
    out: Path | str,
    *,
    windows: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    **call: Any,
) -> dict[str, Any]:
    """Train an arranger and write its checkpoint folder; all as for :func:`train_planner`."""
    return _train(ArrangerTask, folder, out, windows or {}, run or {}, **call)


def _train(
    kind: type[_SheetTask],
    folder: Path | str,
    out: Path | str,
    windows: Mapping[str, Any],
    run: Mapping[str, Any],
    *,
    devices: int | str = "auto",
    nodes: int = 1,
    strategy: str = "ddp",
    threads: int = 0,
    **call: Any,
) -> dict[str, Any]:
    settings = settings_from(RunSettings, run).sized()
    task = kind.configured(folder, windows)
    how = settings.run(devices=devices, nodes=nodes, strategy=strategy, threads=threads)
    return loop.train(lambda: LanguageModel(task, settings), out, how, **call).metrics()
